"""What only pages show of a project: counts, labels, titles, duplicates and saved views."""
