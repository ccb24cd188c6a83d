"""The contract with callers, listed as data, and the tests that check it."""
