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

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from rag_assets.lake.identity import value_hash
from rag_assets.lake.store import LakeStore, quoted
from rag_assets.sources.declaration import IN_THE_LAKE, Source, SourceError, WebOptions
from rag_assets.yaml_files import YamlFileError, built, composed

__all__ = ["Catalog", "Fault", "Source", "SourceError", "WebOptions", "add_folder", "catalog",
           "declared"]  # fmt: skip

ADDED = "sources"  # folder of the lake's records that holds sources added ad hoc
DECLARED = "declared"  # likewise: sources of a sources.yaml, each noted when it was refreshed


@dataclass(frozen=True, slots=True)
class Fault:
    """What is declared wrongly: it stands aside, and the other sources go on.

    Attributes:
        name: of the source; "" where it has none, or the whole file means nothing.
        problem: a sentence that names the file, the line and the source.
    """

    name: str
    problem: str


class Catalog(dict[str, Source]):
    """The sources that can be used, by name, and the ``faults`` of the others."""

    def __init__(self, sources: Iterable[Source] = (), faults: Iterable[Fault] = ()) -> None:
        super().__init__((source.name, source) for source in sources)
        self.faults = tuple(faults)

    @property
    def problems(self) -> list[str]:
        """The sentences of the faults."""
        return [fault.problem for fault in self.faults]


def source_name(partition: str) -> str:
    """The source's name in a partition key."""
    return partition.rpartition(".")[0]


def declared(path: Path) -> Catalog:
    """The sources of a ``sources.yaml``; none if the file does not exist.

    An entry with a fault stands aside, as do two of one name: one would delete what the other
    holds.
    """
    if not os.path.lexists(path):
        return Catalog()
    expected = f"expected a list called 'sources' in {path}, each entry with name, kind and where"
    try:
        entries = _entries(path)
    except YamlFileError as error:
        return Catalog(faults=[Fault("", f"{error}; {expected}")])
    if entries is None:
        return Catalog(faults=[Fault("", f"{expected}; got none")])
    found, faults = list[Source](), list[Fault]()
    for number, node in enumerate(entries, start=1):
        place, name = f"{path}, line {node.start_mark.line + 1}", _name(node)
        try:
            entry = built(node, path)
            if not isinstance(entry, Mapping):
                raise SourceError(f"{expected}; entry {number} is {type(entry).__name__}")
            found.append(replace(_from_entry(entry, path.parent), declared_in=place))
        except YamlFileError as error:
            faults.append(Fault(name, f"source {name or number}: {error}"))
        except SourceError as error:
            faults.append(Fault(name, f"{place}: {error}"))
    many = {name for name, n in Counter(one.name for one in found).items() if n > 1}
    faults += [
        Fault(
            one.name,
            f"{one.declared_in}: source {one.name}: another source has the same name, so neither "
            "is refreshed; rename one",
        )
        for one in found
        if one.name in many
    ]
    return Catalog((one for one in found if one.name not in many), faults)


def _entries(path: Path) -> list[yaml.Node] | None:
    """The entries of the list ``sources``; None where there is no such list.

    Raises:
        YamlFileError: the file is not YAML, or has two such lists.
    """
    top = composed(path)
    fields_of = top.value if isinstance(top, yaml.MappingNode) else []
    lists = [(key, value) for key, value in fields_of if key.value == "sources"]
    if len(lists) > 1:
        line = lists[1][0].start_mark.line + 1
        raise YamlFileError(f"{path}, line {line}: 'sources' stands twice; join the two")
    is_list = bool(lists) and isinstance(lists[0][1], yaml.SequenceNode)
    return lists[0][1].value if is_list else None


def _name(entry: yaml.Node) -> str:
    """What an entry that may be wrong calls itself."""
    given = entry.value if isinstance(entry, yaml.MappingNode) else []
    names = [value.value for key, value in given if key.value == "name"]
    return names[0] if names and isinstance(names[0], str) else ""


def by_name(sources: Sequence[Source]) -> dict[str, Source]:
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
                f"two sources have the same name, {source.name}; names must be unique"
            )
        found[source.name] = source
    return found


def _from_entry(entry: Mapping[str, Any], folder: Path) -> Source:
    known = [field.name for field in fields(Source) if field.name != "declared_in"]
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


def catalog(path: Path, store: LakeStore) -> Catalog:
    """All sources: the declared ones, and those added to this lake from the command line."""
    return joined(added(store), declared(path))


def joined(first: Catalog, second: Catalog) -> Catalog:
    """Both; of one name the second's."""
    return Catalog((first | second).values(), (*first.faults, *second.faults))


def added(store: LakeStore) -> Catalog:
    """The sources that were added to this lake from the command line or from Python."""
    found, faults = list[Source](), list[Fault]()
    for name in store.records(ADDED):
        try:
            record = store.get_record(f"{ADDED}/{name}")
            if record is not None:
                found.append(replace(from_record(record), declared_in=IN_THE_LAKE))
        except (SourceError, TypeError, ValueError) as error:
            problem = f"source {name}, added by --path: its record in the lake means nothing "
            problem += f"({error}); take it out: `rag sources remove {name}`"
            faults.append(Fault(name, problem))
    return Catalog(found, faults)


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
    name = f"{slug}-{value_hash(str(folder))[:6]}"
    source = Source(name, "folder", str(folder), declared_in=IN_THE_LAKE)
    store.put_record(f"{ADDED}/{source.name}", asdict(source))
    return source


def note_declared(store: LakeStore, sources: Iterable[Source]) -> None:
    """Note in the lake that a file declares these sources, where one does."""
    noted = set(store.records(DECLARED))
    for source in sources:
        is_in_file = source.declared_in not in ("", IN_THE_LAKE)
        if is_in_file and source.name not in noted:
            store.put_record(f"{DECLARED}/{source.name}", {})


def withdrawn(path: Path, store: LakeStore) -> frozenset[str]:
    """Names of the sources that were taken out of the file; nothing may be answered from them.

    None where the file is gone or cannot be read: then nobody has taken a source out.
    """
    known = catalog(path, store)
    if not path.is_file() or any(not fault.name for fault in known.faults):
        return frozenset()
    return frozenset(store.records(DECLARED)) - {*known, *(fault.name for fault in known.faults)}


def documents_but(names: Iterable[str]) -> tuple[str, Callable[[str], bool]]:
    """The documents of all other sources: a filter of the index, and the same rule for a uri."""
    begins = tuple(f"{name}:" for name in sorted(names))
    where = " AND ".join(f"NOT starts_with(uri, {quoted([begin])})" for begin in begins)
    return where or "true", lambda uri: not uri.startswith(begins)
