"""What tests share: running servers, fakes, browsers and flows."""
