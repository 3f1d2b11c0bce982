"""What can go wrong in this room.

ModelsError
├── ProfileError              a profile is unknown or its file is malformed
├── WeightsError              weights cannot be had
│   ├── WeightsCorruptError   bytes differ from the recorded sha256
│   └── NotPulledError        an engine needs weights that are not in the cache
├── ConversionError           a weights file cannot be turned into the served format
├── EngineError               an engine cannot be started or kept alive
│   └── PortTakenError        its port already belongs to somebody
├── EngineUnavailableError    nobody answers for a role
└── ModelRequestError         an engine answers, but refuses or garbles this request
"""


class ModelsError(RuntimeError):
    """Anything this room raises on purpose."""


class ProfileError(ModelsError):
    """A profile is unknown or malformed."""


class WeightsError(ModelsError):
    """Weights cannot be fetched or stored."""


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


class EngineUnavailableError(ModelsError):
    """No engine answers for a role."""


class ModelRequestError(ModelsError):
    """The engine refused a request or answered something unreadable."""
