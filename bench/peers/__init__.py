"""Compares this server with other memories, each installed from its registry and used as its users use it."""
