"""An authenticator app, like the one on a person's phone."""

import pyotp

from server.domain.people import second_factors


class Authenticator:
    """An app with one secret. It shows each code only once, so that tests do not wait for the clock."""

    def __init__(self, secret: str) -> None:
        self.otp = pyotp.TOTP(secret)
        self._last = 0

    def code(self) -> str:
        """Return the oldest code that the server may still accept and that this app has not shown yet."""
        self._last = max(second_factors.current_step() - 1, self._last + 1)
        return self.otp.generate_otp(self._last)

    def wrong(self) -> str:
        """Return a code that is wrong now and for a while before and after."""
        current = second_factors.current_step()
        near = {self.otp.generate_otp(current + offset) for offset in range(-5, 6)}
        return next(code for code in (f"{number:06}" for number in range(20)) if code not in near)
