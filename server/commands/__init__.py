"""What each command of `python -m server` does: results to standard output, words for people to standard error."""
