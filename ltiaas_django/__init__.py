"""Reusable Django app for LTI tools that reach their schools' LMSs through LTIAAS."""
