"""What can go wrong in this room; the tree stands in ``rag_assets.errors``."""

from rag_assets.errors import RagError


class ModelsError(RagError):
    """Anything this room raises on purpose."""


class ProfileError(ModelsError):
    """A profile is unknown or malformed."""


class WrongModelError(ModelsError):
    """What was given as a model lacks what a model of its role has."""


class WeightsError(ModelsError):
    """Weights cannot be fetched or stored."""


class HubError(WeightsError):
    """A model hub cannot be asked, or lacks a model, a commit or a file.

    ``what`` is the message without the advice.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}; check the network, HF_ENDPOINT and HF_HUB_OFFLINE, then run "
            "`rag models pull` again, which goes on; the profile cpu needs no hub"
        )
        self.what = what


class WeightsCorruptError(WeightsError):
    """Fetched bytes do not have the sha256 that the profile records."""


class NotPulledError(WeightsError):
    """The weights of a role are not in the cache."""


class ConversionError(ModelsError):
    """A weights file is not what the conversion can read."""


class EngineError(ModelsError):
    """An engine died, never became healthy, or could not be launched."""


class PortTakenError(EngineError):
    """The port an engine should get is in use; a second server there would share its requests."""


class GoneError(ModelsError):
    """Nobody waits for the answer any more."""

    def __init__(self) -> None:
        super().__init__("who asked is gone")


class EngineUnavailableError(ModelsError):
    """No engine answers for a role."""


class ModelRequestError(ModelsError):
    """The engine refused a request or answered something unreadable.

    ``status`` is that of a refusal; None: it did not refuse, its answer came late or is unreadable.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ContextExceededError(ModelRequestError):
    """A request is longer than the model's context."""
