"""Exact search: one matrix of vectors a project, kept in memory."""
