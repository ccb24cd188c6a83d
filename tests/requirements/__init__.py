"""The numbered requirements: C1-C18 on connecting clients, 1-108 on OAuth, R1-R35 on the REST API.

A test names the requirements that it proves: `test_c11_c12_066_…` proves C11, C12 and 66. A requirement without a test
has a line in docs/security.md with the reason. tests/test_requirements.py checks both.
"""

from tests.requirements.authorization import AUTHORIZATION
from tests.requirements.bars import BARS
from tests.requirements.clients import CLIENTS
from tests.requirements.requirement import Requirement
from tests.requirements.tokens import TOKENS

REQUIREMENTS: dict[str, Requirement] = {**CLIENTS, **AUTHORIZATION, **TOKENS, **BARS}

__all__ = ["REQUIREMENTS", "Requirement"]
