"""For tests, yours and ours. Nothing in the package itself imports it."""
