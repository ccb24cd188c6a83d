"""Moving in and out: a project as a file, and the files of other programs. One reader for each format."""
