"""The LMS in the browser, as teachers and learners see theirs: one module for each of its pages or few.

Who one "is" travels in the URL (`?person=`), and every link and form keeps it: `viewer`.
"""
