"""Accepting that most of a source's files are gone: by a token that a command prints, for one run.

Whoever starts runs in Dagster, or makes a browser start one, can so delete no source: the token is
in nobody's hands but those of a person at the command line. The lake keeps its hash, the sources
that it is for, when it runs out, and the run that brought it first.
"""

import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from rag_assets.lake.store import LakeStore
from rag_assets.sources.declaration import SourceError

FOLDER = "accepted"
VALID_FOR = timedelta(hours=1)  # a run may wait in a queue


class NotAcceptedError(SourceError):
    """A token does not accept a deletion; the message says why and what to do."""


def offer(store: LakeStore, sources: Iterable[str], now: datetime | None = None) -> str:
    """A token by which one run may delete most of these sources."""
    now = now or datetime.now(UTC)
    for name in store.records(FOLDER):
        record = store.get_record(f"{FOLDER}/{name}")
        if record is None or _has_run_out(record, now):
            store.remove(f"records/{FOLDER}/{name}.json")
    token = secrets.token_urlsafe(16)
    until = (now + VALID_FOR).isoformat(timespec="seconds")
    store.put_record(_record(token), {"sources": sorted(sources), "until": until, "run": ""})
    return token


def take(
    store: LakeStore, token: str, sources: Iterable[str], run_id: str, now: datetime | None = None
) -> None:
    """Use a token up for a run over these sources; the same run may bring it again.

    Raises:
        NotAcceptedError: it is none, has run out, was used by another run, or is for other sources.
    """
    names = sorted(set(sources))
    with store.locked(FOLDER):
        offered = store.get_record(_record(token))
        if offered is None or _has_run_out(offered, now or datetime.now(UTC)):
            why = "is unknown or has run out"
        elif offered["run"] not in ("", run_id):
            why = f"was used by run {offered['run']}"
        elif not set(names) <= set(offered["sources"]):
            why = f"is for {', '.join(offered['sources'])}"
        else:
            store.put_record(_record(token), {**offered, "run": run_id})
            return
    raise NotAcceptedError(
        f"the token given as accept_deletions {why}; nothing was deleted. `rag sources accept "
        f"{' '.join(names)}` prints one that holds for one run and an hour"
    )


def _record(token: str) -> str:
    return f"{FOLDER}/{sha256(token.encode()).hexdigest()}"


def _has_run_out(offered: Mapping[str, str], now: datetime) -> bool:
    return datetime.fromisoformat(offered["until"]) < now
