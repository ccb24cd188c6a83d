"""Shared test code: running servers, fakes, browsers and flows."""
