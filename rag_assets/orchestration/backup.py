"""Backup and restore of an installation: the lake, the settings of the home, Dagster's storage.

A backup is a folder: ``lake/``, ``home/``, ``dagster/`` or ``dagster.pgdump``, and, written last,
``backup.json``. Model weights, logs and what runs are in none.
"""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from dotenv import load_dotenv

from rag_assets.access.rules import FILE as ACCESS_FILE
from rag_assets.errors import RagError
from rag_assets.files import NO_DOCUMENTS, replace_file, understood
from rag_assets.installation.home import FILES
from rag_assets.lake.backup import copy_lake
from rag_assets.lake.store import LakeStore
from rag_assets.pipeline.stage import Stage
from rag_assets.progress import Tell
from rag_assets.settings import Settings, load_settings
from rag_assets.sources.catalog import declared

ABOUT = "backup.json"
LAST = "backup"  # the lake's record of its last one
LAKE, HOME, DAGSTER, DUMP = "lake", "home", "dagster", "dagster.pgdump"
FOLDERS = ("profiles", "calibration", "speeds")  # of the home; evaluations can be made again


class BackupError(RagError):
    """A backup cannot be made or restored; the message says what to do."""


def back_up(settings: Settings, stages: Sequence[Stage], target: Path, tell: Tell) -> list[str]:
    """Make a backup; returns what a person has to back up otherwise, in sentences.

    Args:
        settings: of the installation.
        stages: of the lake, in the order in which data flows.
        target: a folder that is empty or does not exist.
        tell: called with a line for each part.

    Raises:
        BackupError: the folder holds something, or a part cannot be copied.
        LakeError: the lake cannot be copied.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise BackupError(f"expected an empty folder, or none yet, at {target}; name another one")
    target.mkdir(0o700, parents=True, exist_ok=True)
    (target / NO_DOCUMENTS).touch()
    left = []
    began = datetime.now(UTC).isoformat(timespec="seconds")
    store = LakeStore(settings.lake_uri)
    if "://" in settings.lake_uri:
        left.append(
            f"the lake at {settings.lake_uri} is not copied: use its store's versioning or "
            "replication"
        )
    else:
        names = [[table.name for table in of.tables] or [of.name] for of in reversed(stages)]
        copy_lake(store, target / LAKE, [*chain.from_iterable(names)], tell)
    for path in _home_files(settings):
        _copy(path, target / HOME / path.relative_to(settings.home))
    tell(f"the home's settings: {', '.join(sorted(p.name for p in (target / HOME).iterdir()))}")
    if settings.postgres_url is None:
        n_files = _copy_storage(settings.dagster_home, target / DAGSTER)
        tell(f"Dagster's storage: {n_files:,} files")
    elif problem := _dumped(settings.postgres_url, target / DUMP):
        left.append(problem)
    else:
        tell("Dagster's storage: dumped out of PostgreSQL")
    replace_file(target / ABOUT, json.dumps({"made_at": began, "left": left}).encode())
    store.put_record(LAST, {"made_at": began, "where": str(target.absolute())})
    return left


def _home_files(settings: Settings) -> Iterator[Path]:
    home = settings.home
    yield from (home / name for name in (*FILES, ACCESS_FILE) if (home / name).is_file())
    for folder in FOLDERS:
        yield from (path for path in sorted((home / folder).rglob("*")) if path.is_file())
    sources = declared(settings.sources_file).values() if settings.sources_file.is_file() else ()
    for named in {path for one in sources for path in (one.golden, one.labels) if path}:
        path = home / named
        if path.is_file() and path.resolve().is_relative_to(home.resolve()):
            yield home / path.resolve().relative_to(home.resolve())


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(0o700, parents=True, exist_ok=True)
    shutil.copy2(source, target)  # with its rights: .env and access.yaml are the owner's


def _copy_storage(source: Path, target: Path) -> int:
    """Copy what Dagster keeps in files: each database as it is at one moment, by SQLite itself."""
    n_files = 0
    for parent, _, names in os.walk(source):
        for name in names:
            path = Path(parent, name)
            to = target / path.relative_to(source)
            if name.endswith((".db-wal", ".db-shm", ".db-journal")):
                continue
            to.parent.mkdir(0o700, parents=True, exist_ok=True)
            if name.endswith(".db"):
                with (
                    closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as of,
                    closing(sqlite3.connect(to)) as copy,
                ):
                    of.backup(copy)
            else:
                shutil.copy2(path, to)
            n_files += 1
    return n_files


def restore(folder: Path, home: Path, tell: Tell) -> list[str]:
    """Bring a backup into a home that has none of it; what a person has to bring back otherwise.

    Where the lake goes and what Dagster's storage is say the settings of the backup, unless the
    environment does.

    Raises:
        BackupError: the folder is no whole backup, holds what no backup does, or something is where
            its parts would go.
        LakeError: a newer version wrote the backup's lake.
    """
    about = _about(folder)
    _require_plain(folder)
    files = [path.relative_to(folder / HOME) for path in (folder / HOME).rglob("*")]
    files = [path for path in files if (folder / HOME / path).is_file()]
    for path in files:
        if (home / path).exists() and (home / path).read_bytes() != (
            folder / HOME / path
        ).read_bytes():
            raise BackupError(
                f"expected no {path} in {home}, or the backup's own; restore into an empty home "
                "(RAG_HOME), or move that file away"
            )
    load_dotenv(folder / HOME / ".env")
    os.environ["RAG_HOME"] = str(home)
    settings = load_settings()
    has_lake = (folder / LAKE).is_dir()
    if has_lake:
        LakeStore(str(folder / LAKE)).get_record("format")  # a newer version's is refused here
        if "://" in settings.lake_uri:
            raise BackupError(
                f"the backup's lake is a folder, and RAG_LAKE is {settings.lake_uri}; unset it, or "
                "name a folder"
            )
        _require_empty(Path(settings.lake_uri), "the lake (RAG_LAKE)")
    if (folder / DAGSTER).is_dir():
        _require_empty(settings.dagster_home, "Dagster's storage")
    for path in files:
        _copy(folder / HOME / path, home / path)
    tell(f"the home's settings are in {home}")
    if has_lake:
        shutil.copytree(folder / LAKE, settings.lake_uri, dirs_exist_ok=True)
        Path(settings.lake_uri).chmod(0o700)
        tell(f"the lake is in {settings.lake_uri}")
    if (folder / DAGSTER).is_dir():
        shutil.copytree(folder / DAGSTER, settings.dagster_home, dirs_exist_ok=True)
        settings.dagster_home.chmod(0o700)
        tell(f"Dagster's storage is in {settings.dagster_home}")
    left = list(about["left"])
    if (folder / DUMP).is_file():
        problem = _loaded(settings.postgres_url, folder / DUMP)
        left += [problem] if problem else []
    return left


def _about(folder: Path) -> dict[str, Any]:
    try:
        with understood(folder / ABOUT):
            about: dict[str, Any] = json.loads((folder / ABOUT).read_bytes())
            return {"made_at": about["made_at"], "left": about["left"]}
    except FileNotFoundError:
        raise BackupError(
            f"expected a whole backup in {folder}, got no {ABOUT} there, which `rag backup` writes "
            "last; name another backup"
        ) from None


def _require_plain(folder: Path) -> None:
    """A link would bring files into the home that lie elsewhere, a FIFO would be read for ever."""
    for parent, folders, files in os.walk(folder):
        for path in (Path(parent, name) for name in [*folders, *files]):
            if stat.S_IFMT(path.lstat().st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
                raise BackupError(
                    f"expected files and folders in the backup, got a link or device at {path}, "
                    "which `rag backup` never makes; ask who gave you the backup"
                )


def _require_empty(folder: Path, what: str) -> None:
    held = [p for p in folder.iterdir() if p.name != NO_DOCUMENTS] if folder.exists() else []
    if held:
        raise BackupError(
            f"expected nothing at {folder}, where {what} goes; got {held[0].name}. Restore into an "
            "empty home (RAG_HOME), or move that folder away"
        )


# PostgreSQL


def _dumped(url: str, file: Path) -> str:
    """Dump the database; what to do, where that cannot be done here."""
    problem = _run_tool(url, ["pg_dump", "--format=custom", f"--file={file}"])
    if problem:
        file.unlink(missing_ok=True)  # what it wrote before it failed
    return problem


def _loaded(url: str | None, file: Path) -> str:
    if url is None:
        return (
            f"Dagster's storage was in PostgreSQL: set RAG_POSTGRES_URL, then `pg_restore "
            f"--no-owner --dbname=URL {file}`"
        )
    return _run_tool(url, ["pg_restore", "--no-owner", "--exit-on-error", str(file)])


def _run_tool(url: str, command: list[str]) -> str:
    """Run a tool of PostgreSQL on a database; "" or what a person has to do.

    The password goes by the environment: a command line is seen by every user of the machine.
    """
    parts = urlsplit(url)
    name = parts.username or ""
    address = parts.netloc.rpartition("@")[2]
    shown = parts._replace(netloc=f"{name}@{address}" if name else address).geturl()
    env = {**os.environ, "PGPASSWORD": unquote(parts.password)} if parts.password else None
    whole = [*command, f"--dbname={shown}"]
    by_hand = f"Dagster's storage in PostgreSQL is left to you: `{' '.join(whole)}`"
    try:
        done = subprocess.run(whole, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return f"{by_hand} ({command[0]} is not installed here)"
    if done.returncode == 0:
        return ""
    return f"{by_hand} ({command[0]} said: {' '.join(done.stderr.split())[:300]})"
