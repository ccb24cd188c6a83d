"""The embedding model: loading, export and batching."""
