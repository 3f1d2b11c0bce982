"""Declared sources: ``data/sources.yaml``, and folders added from the command line.

Example of the file, with one source of each kind::

    sources:
      - name: sample            # letters, digits, - and _; part of every partition key and uri
        kind: folder
        where: sample/corpus    # relative to this file, or absolute
        include: ["**/*"]       # optional, glob patterns below the folder
        exclude: ["**/*.tmp"]   # optional
        buckets: 1              # optional, a power of two: partitions of this source; fixed by its
                                # first refresh
        cron: "0 3 * * *"       # optional, refresh schedule in UTC
        golden: sample/golden.jsonl   # optional, questions that gate a new index
        labels: sample/document_types.jsonl   # optional, types that its labels are compared with
        enrich: labels          # optional: labels (a document's type, the default), full (also
                                # topics, a summary and a question: seconds a document), false
        document_types:         # optional, two labels or more; without it a general set applies
          guide: A guide that explains step by step how to do something.
          minutes:              # several sentences where a label covers documents that differ
            - Minutes of a meeting of the board, with the decisions it took.
            - Notes of a meeting with who was there and what was said.

      - name: contracts
        kind: object_store
        where: s3://company-docs/contracts   # any URI that fsspec has a package for
        storage:                # optional, as fsspec's filesystem takes it; never a secret:
          endpoint_url: https://minio.example.org   # credentials come from the environment
          anon: false

      - name: manuals
        kind: archive           # a zip file; patterns apply to its members
        where: manuals.zip      # relative to this file, absolute, or a URI with ``storage``

      - name: handbook
        kind: web
        where: https://handbook.example.org/sitemap.xml   # a sitemap (index, gzip), or a text
                                # with one URL a line; also such a file on this machine
        include: ["guide/**"]   # patterns apply to a URL's path, here /guide/...
        cron: "0 4 * * *"       # pages are asked for by cron and by hand, never by the sensor
        web:                    # optional, as is each field; these are the defaults
          delay_s: 1.0          # between two requests to one host; a longer Crawl-delay wins
          max_bytes: 20000000   # of a page, decompressed
          max_pages: 10000      # a longer list is refused
          hosts: []             # further hosts that pages and redirects may be on
          user_agent: rag_assets   # its first word is the name that robots.txt is asked for
          allow_private: false  # true: also loopback and private addresses, for an intranet

If a source held five files or more and now lists a fifth of them or fewer, nothing is deleted until
a person agrees (``rag refresh NAME --accept-deletions``). If a source cannot be listed completely,
nothing is deleted.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import yaml

from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import LakeStore
from rag_assets.sources.declaration import Source, SourceError, WebOptions
from rag_assets.yaml_files import UniqueKeys

__all__ = ["Source", "SourceError", "WebOptions", "add_folder", "catalog", "declared"]

ADDED = "sources"  # folder of the lake's records that holds sources added ad hoc


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
    expected = f"expected a list called 'sources' in {path}, each entry with name, kind and where"
    try:
        with path.open(encoding="utf-8") as stream:
            content = yaml.load(stream, UniqueKeys)
    # ValueError: a date that there is none of, or no UTF-8
    except (yaml.YAMLError, ValueError, OSError, RecursionError) as error:
        raise SourceError(f"{expected}; got: {type(error).__name__}: {error}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("sources"), list):
        raise SourceError(f"{expected}; got {_types(content)}")
    sources = []
    for number, entry in enumerate(content["sources"], start=1):
        if not isinstance(entry, Mapping):
            raise SourceError(f"{expected}; entry {number} is {_types(entry)}")
        try:
            sources.append(_from_entry(entry, path.parent))
        except SourceError as error:
            raise SourceError(f"{path}: {error}") from error
    return by_name(sources, f" in {path}")


def _types(value: object) -> str:
    """What a value is, without the value itself: it may hold a secret."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {type(of).__name__}" for key, of in value.items()) or "nothing"
    return type(value).__name__


def by_name(sources: Sequence[Source], where: str = "") -> dict[str, Source]:
    """The sources by name.

    Raises:
        SourceError: two have the same name, so that one would delete what the other holds.
    """
    found: dict[str, Source] = {}
    for source in sources:
        if not isinstance(source, Source):
            raise SourceError(f"expected a list of rag_assets.Source, got {source!r} in it")
        if source.name in found:
            raise SourceError(
                f"two sources{where} have the same name, {source.name}; names must be unique"
            )
        found[source.name] = source
    return found


def _from_entry(entry: Mapping[str, Any], folder: Path) -> Source:
    known = [field.name for field in fields(Source)]
    for field in entry:
        if field not in known:
            raise SourceError(
                f"source {entry.get('name')}: {field!r} is not a field; known: {', '.join(known)}. "
                "Remove it, or correct its spelling"
            )
    for field in ("name", "kind", "where"):
        if field not in entry:
            raise SourceError(f"source {entry.get('name')}: {field!r} is missing; add it")
    given = {field: entry.get(field) for field in ("where", "golden", "labels")}
    placed = {
        field: str((folder / place).absolute())
        for field, place in given.items()
        if isinstance(place, str) and place.strip() and "://" not in place
    }
    return Source(**{**entry, **placed})


def catalog(path: Path, store: LakeStore) -> dict[str, Source]:
    """All sources: the declared ones, and those added to this lake from the command line."""
    return added(store) | declared(path)


def added(store: LakeStore) -> dict[str, Source]:
    """The sources that were added to this lake from the command line or from Python."""
    records = (store.get_record(f"{ADDED}/{name}") for name in store.records(ADDED))
    found = (from_record(record) for record in records if record is not None)
    return {source.name: source for source in found}


def from_record(record: Mapping[str, Any]) -> Source:
    """The source of a record, as ``asdict`` makes it and JSON stores it."""
    return Source(**record)


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
