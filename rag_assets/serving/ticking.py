"""What the serving sensor decides on a tick, without Dagster."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rag_assets.lake.generations import Live
from rag_assets.serving.client import AnswererError


@dataclass(frozen=True, slots=True)
class Tick:
    """A decision.

    Attributes:
        request: load this state of the live pointer; None means skip.
        reason: why it is skipped, as a sentence; "" when it is not.
        cursor: what to remember; None leaves the cursor as it is.
    """

    request: Live | None
    reason: str
    cursor: str | None


def decide(
    pointer: Live | None, cursor: str | None, status: Callable[[], Mapping[str, Any]]
) -> Tick:
    """Whether a hot load is due.

    The cursor is the pointer's sequence, which counts rollbacks, too: going back to a generation
    seen before is a new state.

    Args:
        pointer: the live pointer now.
        cursor: what the last tick remembered.
        status: asks the running answerer; called only when something changed.
    """
    if pointer is None:
        return Tick(None, "No generation is live yet.", None)
    state = str(pointer.sequence)
    if state == cursor:
        reason = f"Live is still {pointer.generation_id} (change {state}), which was dealt with."
        return Tick(None, reason, None)
    try:
        serving = status().get("generation")
    except AnswererError as error:
        # The cursor stays: an answerer that starts later loads the live generation by itself.
        return Tick(None, f"{pointer.generation_id} waits: {error}.", None)
    if serving is not None and serving["id"] == pointer.generation_id:
        return Tick(None, f"The answerer serves {pointer.generation_id} already.", state)
    return Tick(pointer, "", state)
