"""The fixtures of `tests.rest.teams.team`."""

from tests.rest.teams.team import make_team, team

__all__ = ["make_team", "team"]
