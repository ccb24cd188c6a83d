"""Exact search: one matrix of vectors per project, kept in memory."""
