"""How fast this package is, beside other ways and beside what is possible. Run by `make bench`."""
