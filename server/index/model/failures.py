"""Why a model gives no vectors. Each message is one sentence, without a secret, a path or a host."""

from server.errors import Unavailable


class ModelUnusable(Exception):
    """The model cannot be used before somebody changes something."""


class ModelAway(Unavailable):
    """There are no vectors now, and there may be some later. Until then memories are found by their words."""

    sentence = "The embedding model is not ready; nothing was changed. Try again."


class EmbedderClosed(Unavailable):
    sentence = "The server is stopping; nothing was changed. Try again."


class ModelFailed(Unavailable):
    """The model could not embed these texts. `__cause__` is the model's own exception, which callers never see."""

    sentence = "The embedding model failed; nothing was changed. Try again."


class VectorsRefused(ModelFailed):
    sentence = (
        "The embedding model answered with something that is no vector (NaN, zero, or a wrong length); "
        "nothing was changed. Tell who runs the server."
    )


def failure_of(error: Exception) -> Exception:
    """Return the error as one of a model: itself, or ModelFailed with it as the cause."""
    if isinstance(error, ModelAway | ModelFailed):
        return error
    failed = ModelFailed()
    failed.__cause__ = error
    return failed
