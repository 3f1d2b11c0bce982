"""Declared sources: ``data/sources.yaml``, and folders added from the command line.

Example of the file::

    sources:
      - name: sample            # letters, digits, - and _; part of every partition key and uri
        kind: folder
        where: sample/corpus    # relative to this file, or absolute
        include: ["**/*"]       # optional, glob patterns below the folder
        exclude: ["**/*.tmp"]   # optional
        buckets: 1              # optional, a power of two: partitions of this source
        cron: "0 3 * * *"       # optional, refresh schedule in UTC
        golden: sample/golden.jsonl   # optional, questions that gate a new index
        labels: sample/document_types.jsonl   # optional, types that enrichment is held against
        enrich: true            # optional; false saves the small model's 1.4 s a document
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from rag_assets.lake.identity import bucket_of, value_hash
from rag_assets.lake.store import LakeStore

ADDED = "sources"  # folder of the lake's records that holds sources added ad hoc
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


class SourceError(Exception):
    """A source is declared wrongly or cannot be read; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Source:
    """One declared source; see the module's example for the fields."""

    name: str
    kind: str
    where: str
    include: tuple[str, ...] = ("**/*",)
    exclude: tuple[str, ...] = ()
    buckets: int = 1
    cron: str | None = None
    golden: str | None = None
    labels: str | None = None
    enrich: bool = True

    def __post_init__(self) -> None:
        """Refuse what would fail later and less clearly."""
        if not NAME.fullmatch(self.name):
            raise SourceError(
                f"a source's name must be lower-case letters, digits, - and _, got {self.name!r}"
            )
        if self.kind != "folder":
            raise SourceError(f"source {self.name}: kind must be 'folder', got {self.kind!r}")
        if not isinstance(self.enrich, bool):
            raise SourceError(
                f"source {self.name}: enrich must be true or false, got {self.enrich!r}"
            )
        try:
            bucket_of("", self.buckets)
        except ValueError as error:
            raise SourceError(f"source {self.name}: {error}") from error

    @property
    def partitions(self) -> list[str]:
        """Its partition keys, ``<source>.<bucket>``."""
        return [f"{self.name}.{bucket}" for bucket in range(self.buckets)]

    def partition_of(self, uri: str) -> str:
        """The partition that holds this uri's document."""
        return f"{self.name}.{bucket_of(uri, self.buckets)}"


def source_name(partition: str) -> str:
    """The source's name in a partition key."""
    return partition.rpartition(".")[0]


def declared(path: Path) -> dict[str, Source]:
    """The sources of a ``sources.yaml``, by name; none if the file does not exist.

    Raises:
        SourceError: the file is not of the form in the module's example.
    """
    if not path.is_file():
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        entries = content["sources"]
        sources = [_from_entry(entry, path.parent) for entry in entries]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise SourceError(
            f"expected a list called 'sources' in {path}, each entry with name, kind and where; "
            f"got: {type(error).__name__}: {error}"
        ) from error
    by_name = {source.name: source for source in sources}
    if len(by_name) != len(sources):
        raise SourceError(f"two sources in {path} have the same name; names must be unique")
    return by_name


def _from_entry(entry: Mapping[str, Any], folder: Path) -> Source:
    files = {name: entry[name] for name in ("golden", "labels") if entry.get(name) is not None}
    return Source(
        **{
            **entry,
            "where": str((folder / entry["where"]).absolute()),
            **{name: str((folder / file).absolute()) for name, file in files.items()},
            "include": _patterns(entry.get("include", ["**/*"])),
            "exclude": _patterns(entry.get("exclude", [])),
        }
    )


def _patterns(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
        raise TypeError(f"expected a list of glob patterns, got {value!r}")
    return tuple(value)


def catalog(path: Path, store: LakeStore) -> dict[str, Source]:
    """All sources: the declared ones, and those added to this lake from the command line."""
    records = (store.get_record(f"{ADDED}/{name}") for name in store.records(ADDED))
    added = (_from_record(record) for record in records if record is not None)
    return {source.name: source for source in added} | declared(path)


def _from_record(record: Mapping[str, Any]) -> Source:
    return Source(
        **{**record, "include": tuple(record["include"]), "exclude": tuple(record["exclude"])}
    )


def add_folder(store: LakeStore, folder: Path) -> Source:
    """Register a folder as a source of this lake; the same folder has the same name always.

    Raises:
        SourceError: the folder does not exist.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise SourceError(f"expected a folder to ingest, got {folder}, which is not one")
    slug = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:40] or "folder"
    source = Source(name=f"{slug}-{value_hash(str(folder))[:6]}", kind="folder", where=str(folder))
    store.put_record(f"{ADDED}/{source.name}", asdict(source))
    return source
