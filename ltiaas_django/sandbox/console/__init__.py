"""The console: for the developer of a tool, what the tool asks of the sandbox, and what is to go wrong with it.

Plain pages and forms, as the LMS's own; scripts only make the log follow by itself and copy settings.
"""
