"""An authenticator app, as a person's phone runs it."""

import time

import pyotp

STEP_SECONDS = 30


MARGIN_SECONDS = 5
"""The longest time from showing a code until the server checks it."""


class Authenticator:
    """An app with one secret. Each code is one that it did not show before, so hardly any test waits for the clock."""

    def __init__(self, secret: str) -> None:
        self.otp = pyotp.TOTP(secret)
        self._last = 0

    def code(self) -> str:
        """Return the oldest code that the server still accepts in a moment and that was not shown before."""
        earliest = step_at(time.time() + MARGIN_SECONDS) - 1
        self._last = max(earliest, self._last + 1)
        while self._last > step_at(time.time()) + 1:  # at the end of a step, after two codes
            time.sleep(0.1)
        return self.otp.generate_otp(self._last)

    def wrong(self) -> str:
        """Return a code that is right at no time near now."""
        current = step_at(time.time())
        near = {self.otp.generate_otp(current + offset) for offset in range(-5, 6)}
        return next(code for code in (f"{number:06}" for number in range(20)) if code not in near)


def step_at(seconds: float) -> int:
    return int(seconds) // STEP_SECONDS
