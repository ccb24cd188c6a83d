"""What all doors run on: the process, its threads, and the one way to run an operation."""
