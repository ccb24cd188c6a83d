"""The commands of `python -m server`. Results go to standard output, messages for people to standard error."""
