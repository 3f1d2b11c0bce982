"""Weights of a model hub, at one commit; ``HF_ENDPOINT`` names a mirror.

Each file is compared with the sha256 that the profile records, else with the hash that the hub
states for it at that commit. A download that was cut off goes on where it stopped. With
``HF_HUB_OFFLINE=1`` nothing is asked.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from rag_assets.models.errors import HubError, WeightsCorruptError
from rag_assets.models.profiles import HubSnapshot

TRIES = 5  # of a file whose connection breaks; each goes on where the one before stopped
WAIT_S = 0.5


def fetch_snapshot(
    repo: str,
    source: HubSnapshot,
    scratch: Path,
    folder: Path,
    progress: Callable[[float], None],
) -> None:
    """Put the files of a repository into ``folder``.

    Raises:
        WeightsCorruptError: a file is not what the profile or the hub says it is; it is deleted.
        HubError: the hub cannot be asked, or has no such model, commit or file.
    """
    from huggingface_hub import HfApi, get_token, hf_hub_url

    endpoint = os.environ.get("HF_ENDPOINT") or None
    token = get_token()
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        info = HfApi(endpoint).model_info(repo, revision=source.revision, files_metadata=True)
        there = {one.rfilename: one for one in info.siblings or []}
        if missing := [name for name in source.files if name not in there]:
            raise FileNotFoundError(f"it has no {', '.join(missing)}")
        files = [there[name] for name in source.files or there]
        n_bytes, before = max(1, sum(one.size or 0 for one in files)), 0
        for one in files:
            address = hf_hub_url(repo, one.rfilename, revision=source.revision, endpoint=endpoint)

            def told(here: int, before: int = before) -> None:
                progress((before + here) / n_bytes)

            _fetch(address, headers, scratch / one.rfilename, one.size or 0, told)
            before += one.size or 0
    except Exception as error:  # the library passes on what its own HTTP library raises
        raise HubError(
            f"{repo} at {source.revision[:12]} could not be fetched from the model hub "
            f"({' '.join(str(error).split())[:300]})"
        ) from error
    for one in files:
        path = scratch / one.rfilename
        recorded = source.files.get(one.rfilename)
        stated = recorded or (one.lfs.sha256 if one.lfs else one.blob_id)
        got = hash_of(path, "sha256" if recorded or one.lfs else "sha1")
        if got != stated:
            path.unlink()
            raise WeightsCorruptError(
                f"{one.rfilename} of {repo}: expected the hash {stated}, got {got}; it was "
                "deleted, run `rag models pull` again"
            )
    for one in files:
        target = folder / one.rfilename
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(scratch / one.rfilename, target)


def _fetch(
    address: str,
    headers: dict[str, str],
    target: Path,
    size: int,
    told: Callable[[int], None],
) -> None:
    """Fetch what ``target`` lacks of a file.

    The hub's own function (huggingface_hub 2.4) begins again after a process was killed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch()

    def go_on() -> None:
        have = target.stat().st_size
        if have >= size:
            told(size)
            return
        asked = {**headers, "range": f"bytes={have}-", "accept-encoding": "identity"}
        with (
            httpx.stream("GET", address, headers=asked, follow_redirects=True, timeout=30) as there,
            target.open("ab") as here,
        ):
            there.raise_for_status()
            if there.status_code != httpx.codes.PARTIAL_CONTENT:
                here.truncate(0)
            for block in there.iter_bytes():
                here.write(block)
                told(min(size, here.tell()))

    Retrying(
        stop=stop_after_attempt(TRIES),
        wait=wait_random_exponential(WAIT_S, max=20),
        retry=retry_if_exception_type(httpx.TransportError),
        reraise=True,
    )(go_on)


def hash_of(path: Path, kind: str) -> str:
    """The sha256 of a large file, or git's name of a small one."""
    digest = hashlib.new(kind)
    if kind == "sha1":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
