"""Why a model returns no vectors. Each message is one sentence, without a secret, a path or a host."""

from server.errors import Unavailable


class ModelUnusable(Exception):
    """The model cannot be used until somebody fixes the problem."""


class ModelAway(Unavailable):
    """The model is unavailable for now. Until it is back, memories are found by their words."""

    sentence = "The embedding model is not ready; nothing was changed. Try again."


class TextRefused(ModelAway):
    """The model refuses a text, or one of several, and embeds others. Searches find the memory by its words."""


class QuestionUnreadable(ModelAway):
    """The model knows no word of a question. To it, all such texts are the same. So only words are searched."""


class EmbedderClosed(Unavailable):
    sentence = "The server is stopping; nothing was changed. Try again."


class ModelFailed(Unavailable):
    """The model could not embed these texts. `__cause__` is the model's own exception, which callers never see."""

    sentence = "The embedding model failed; nothing was changed. Try again."


class VectorsRefused(ModelFailed):
    sentence = (
        "The embedding model answered with an invalid vector (NaN, zero, or a wrong length); "
        "nothing was changed. Tell the server's administrator."
    )


def failure_of(error: BaseException) -> Exception:
    """Return the error itself if it is one of these, or else ModelFailed with the error as its cause."""
    if isinstance(error, ModelAway | ModelFailed):
        return error
    failed = ModelFailed()
    failed.__cause__ = error
    return failed
