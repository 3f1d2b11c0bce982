"""What model calls cost, and which of them were repaired."""

from collections.abc import Mapping
from dataclasses import dataclass

from rag_assets.models.protocols import Completion


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model over all its calls for one answer."""

    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    completion_tokens: int = 0

    def plus(self, completion: Completion) -> "Usage":
        """With one more call."""
        return Usage(
            self.prompt_tokens + completion.prompt_tokens,
            self.cached_prompt_tokens + completion.cached_prompt_tokens,
            self.completion_tokens + completion.completion_tokens,
        )


def add_usage(usage: Mapping[str, Usage], role: str, *completions: Completion) -> dict[str, Usage]:
    """The usage by role with these calls of ``role`` added."""
    total = usage.get(role, Usage())
    for completion in completions:
        total = total.plus(completion)
    return {**usage, role: total}
