"""How fast a chat model reads and writes here: measured once, then kept.

The figures are in ``<home>/speeds``, a file for each model and server, until somebody deletes it.
So what follows from them does not change from run to run.
"""

import json
import re
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from rag_assets.files import replace_file
from rag_assets.models.errors import ModelRequestError
from rag_assets.models.profiles import Endpoint, ModelSpec
from rag_assets.models.protocols import ChatModel, Completion

_READ = " ".join(
    f"Route {n} leaves pier {n * 7 % 31} at {n % 24}:{n * 13 % 60:02}." for n in range(40)
)
_WRITTEN = 16  # tokens


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens of prompt and of answer in a second, of one request alone; ``date`` says when."""

    reads: float
    writes: float
    date: str = ""


def kept_speed(served: ModelSpec | Endpoint, home: Path) -> Speed | None:
    """What was measured; None if nothing was, or the file is no such record."""
    try:
        speed = Speed(**json.loads(_file(served, home).read_text("utf-8")))
        return speed if min(speed.reads, speed.writes) > 0 else None
    except (OSError, ValueError, TypeError):
        return None


def measured_speed(served: ModelSpec | Endpoint, model: ChatModel, home: Path) -> Speed:
    """What is kept, or is measured now and kept: three short requests.

    Raises:
        EngineUnavailableError: nobody answers.
        ModelRequestError: the answers have no tokens.
    """
    speed = kept_speed(served, home)
    if speed is None:
        made = measure(model)
        speed = kept_speed(served, home) or made  # another process may have been faster
        replace_file(_file(served, home), json.dumps(asdict(speed)).encode())
    return speed


def measure(model: ChatModel) -> Speed:
    """Read some 500 tokens, then write 16; the time that any request takes is left out.

    Raises:
        EngineUnavailableError: nobody answers.
        ModelRequestError: the answers have no tokens.
    """
    least, nothing = _timed(model, "Say yes.", 1)
    read, long = _timed(model, f"{_READ}\nSay yes.", 1)
    wrote, text = _timed(model, "Count from 1 to 100, in digits.", _WRITTEN)
    n_read = long.prompt_tokens - nothing.prompt_tokens
    n_written = text.completion_tokens - nothing.completion_tokens
    if n_read <= 0 or n_written <= 0:
        raise ModelRequestError(
            f"the speed of {model.model_id} cannot be measured: expected tokens read and written, "
            f"got {n_read} and {n_written}"
        )
    return Speed(
        reads=_rounded(n_read / max(read - least, 1e-3)),
        writes=_rounded(n_written / max(wrote - least, 1e-3)),
        date=datetime.now(UTC).date().isoformat(),
    )


def _timed(model: ChatModel, text: str, max_tokens: int) -> tuple[float, Completion]:
    started = time.perf_counter()
    done = model.complete([{"role": "user", "content": text}], max_tokens=max_tokens)
    return time.perf_counter() - started, done


def _rounded(value: float) -> float:
    """Two digits: more would claim what one measurement does not show."""
    return float(f"{value:.2g}")


def _file(served: ModelSpec | Endpoint, home: Path) -> Path:
    where = f"@{served.base_url}" if isinstance(served, Endpoint) else ""
    name = re.sub(r"[^\w.-]+", "_", f"{served.served_name}@{served.revision[:12]}{where}")
    return home / "speeds" / f"{name}.json"
