"""Settings that are sent in a header: keys and tokens."""

import pytest

from tests.test_settings import read, refusal

NAMES = ["EMBEDDING_KEY", "CHROMA_TOKEN", "METRICS_TOKEN"]


@pytest.mark.parametrize("name", NAMES)
def test_the_line_break_at_the_end_of_a_file_is_no_part_of_a_token(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    settings = read(monkeypatch, {f"SELFMEMORY_{name}": " sk-1 2\r\n"})
    assert getattr(settings, name.lower()).get_secret_value() == "sk-1 2"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("token", ["schlüssel", "sk-1\nsk-2", "sk–1"])
def test_a_token_that_no_header_can_carry_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, token: str
) -> None:
    sentence = refusal(monkeypatch, {f"SELFMEMORY_{name}": token})
    assert sentence == f"SELFMEMORY_{name}: must be printable ASCII, because it is sent in a header"
