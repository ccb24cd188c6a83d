"""The fixtures of `tests.support.team`."""

from tests.support.team import make_team, team

__all__ = ["make_team", "team"]
