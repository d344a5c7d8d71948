"""The quiz: one for each activity of the LMS that launches it."""
