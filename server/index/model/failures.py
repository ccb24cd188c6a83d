"""Why a model gives no vectors. Each message is one sentence, without a secret."""


class ModelUnusable(Exception):
    """The model cannot be used before somebody changes something."""


class EndpointAway(Exception):
    """The endpoint failed, and may answer again later."""
