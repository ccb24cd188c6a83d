"""What the log says about an embedding endpoint that goes away and comes back."""

from collections.abc import Iterator

import numpy as np
import pytest

from server.index.model import breaker, endpoint
from server.index.model.endpoint import EndpointModel
from server.index.model.failures import ModelAway
from tests.support.embedding_endpoint import KEY, MODEL, Endpoint, serving

BACK = "the embedding endpoint works again"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(endpoint, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(breaker, "FIRST_PAUSE_SECONDS", 0.0)
    with serving() as running:
        yield running


@pytest.fixture
def model(server: Endpoint, caplog: pytest.LogCaptureFixture) -> Iterator[EndpointModel]:
    caplog.set_level("INFO", "server")
    opened = EndpointModel(server.url, MODEL, KEY)
    yield opened
    opened.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == "server.index.model.endpoint"]


def test_the_log_says_once_that_an_endpoint_failed_and_once_that_it_works_again(
    server: Endpoint, model: EndpointModel, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = b'{"data": [{"embedding": [1.0, 0.0]}]}'
    for _ in range(4):
        with pytest.raises(ModelAway):
            model.encode(["a secret question"])
    server.answer = None
    assert np.shape(model.encode(["a secret question"])) == (1, model.dimensions)
    model.encode(["another question"])
    failed, back = lines(caplog)
    assert "vectors of 2 numbers, not 64: restart the server if the model has changed" in failed
    assert back == BACK


def test_a_text_that_the_endpoint_refuses_is_no_failure_of_the_endpoint(
    server: Endpoint, model: EndpointModel, caplog: pytest.LogCaptureFixture
) -> None:
    server.refused = "tomato"
    with pytest.raises(ModelAway):
        model.encode(["a tomato"])
    model.encode(["a kayak"])
    assert lines(caplog) == []
