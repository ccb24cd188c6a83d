"""What callers can rely on, listed as data, and the tests that claim it."""
