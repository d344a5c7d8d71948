"""What makes the reference out of the code, whenever the site is built."""
