"""An embedding endpoint that would hold a thread, or fill the memory, is given up."""

import gzip
import time

import pytest

from server.index.model import endpoint
from server.index.model.endpoint import EndpointModel
from server.index.model.failures import ModelAway
from tests.index.test_endpoint import GOOD, TEXTS, model, server, vectors_of
from tests.support.embedding_endpoint import Endpoint

__all__ = ["model", "server"]  # fixtures


@pytest.mark.parametrize("part", ["status line", "body"])
def test_an_endpoint_that_sends_byte_after_byte_is_given_up_in_time(
    server: Endpoint, model: EndpointModel, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(endpoint, "ANSWER_SECONDS", 0.3)
    server.drips = part
    began = time.monotonic()
    with pytest.raises(ModelAway, match="does not answer"):
        model.encode(TEXTS)
    assert time.monotonic() - began < 2
    server.drips = ""
    assert len(model.encode(TEXTS)) == 2


def test_a_compressed_answer_is_not_unpacked(server: Endpoint, model: EndpointModel) -> None:
    """A few kilobytes, compressed twice, can become gigabytes."""
    server.headers = {"Content-Encoding": "gzip"}
    server.answer = gzip.compress(vectors_of(GOOD, GOOD))
    with pytest.raises(ModelAway, match="does not answer with vectors"):
        model.encode(TEXTS)


@pytest.mark.parametrize(
    "answer", [vectors_of([10**400] * 64, GOOD), b'{"data": [{"index": Infinity, "embedding": []}]}']
)
def test_a_number_that_is_too_large_is_no_vector(server: Endpoint, model: EndpointModel, answer: bytes) -> None:
    server.answer = answer
    with pytest.raises(ModelAway, match="does not answer with vectors"):
        model.encode(TEXTS)
