"""This machine: its resources, files and command line."""
