"""Import and export: a project as a file, and the files of other programs. Each format has one reader."""
