"""Background work on the index: one worker, its lock and rebuilding."""
