"""The law of access: nothing of a document that a caller may not read is in what the caller gets.

``python -m rag_assets_tests.laws.leaks --questions 10000`` makes a small index of random documents,
some of which name others as copies or newer versions, and random rules and groups over it. Each
question asks, as a member of random groups, for a document that may be forbidden: by its word, by a
slip of it, by its uri, or for how many there are. What comes back is searched for the words and
uris of all forbidden documents: the hits of each question and, in turn, look-ups by id, all
documents, names, search alone, also filtered for the forbidden document, documents and sources as
HTTP and MCP give them, and the whole record of an answer (the models are stand-ins which copy what
they read). An exact search over the permitted documents tells what the filtered one should have
found.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from rag_assets.access.rules import Rules
from rag_assets.access.views import View
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.filters import Filters
from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.retrieval.names import unknown_names
from rag_assets.serving.documents import UnknownDocumentError, document_of
from rag_assets.serving.sources_shown import sources_shown
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
from rag_assets_tests.answers.world import Doc, reader_of

GROUPS = ("hr", "it", "board", "crew")
SOURCES = ("docs", "mail", "wiki")
FOLDERS = ("a", "b", "a/b", "o'hara")
COMMON = ("harbour", "ferry", "price", "captain", "winter", "island", "report", "budget", "storm")
PER_RULES = 20  # questions asked under the same rules
N_NEAREST = 10


@dataclass(frozen=True, slots=True)
class Secret:
    """A document, and the word that stands in it alone."""

    doc: Doc
    word: str


def words(rng: random.Random, n: int) -> list[str]:
    """Names that are not near to each other: every two letters of the first six differ."""
    found: dict[str, None] = {}
    while len(found) < n:
        word = "".join(rng.choice("bdfgklmnprstvz") + rng.choice("aeiou") for _ in range(4))
        found[word.capitalize() + "x"] = None
    return list(found)


def documents(rng: random.Random, n: int) -> list[Secret]:
    """Documents of random places; some name others."""
    uris = [f"{rng.choice(SOURCES)}:{rng.choice(FOLDERS)}/{k:04}.md" for k in range(n)]
    made = []
    for uri, word in zip(uris, words(rng, n), strict=True):
        near = rng.sample(uris, rng.randrange(4))
        text = " ".join(rng.choices(COMMON, k=12))
        sections = ((f"On {word}", f"The {text} of {word} cost {rng.randrange(99)} euro."),)
        newest = (rng.choice(uris), "A newer one") if rng.random() < 0.3 else ("", "")
        doc = Doc(
            uri, f"File {word}", sections, aliases=tuple(near), copies=tuple(near[:1]),
            superseded_by=newest,
        )  # fmt: skip
        made.append(Secret(doc, word))
    return made


def rules(rng: random.Random, known: Sequence[Secret]) -> Rules:
    """Random rules: some sources are nobody's, some files of an open folder are closed."""

    def readers() -> str | list[str]:
        return "everyone" if rng.random() < 0.3 else rng.sample(GROUPS, rng.randrange(3))

    made = [
        {"uri": secret.doc.uri, "groups": readers()}
        for secret in rng.sample(known, rng.randrange(6))
    ]
    folders = {f"{rng.choice(SOURCES)}:{rng.choice(FOLDERS)}/**" for _ in range(rng.randrange(5))}
    made += [{"uri": uri, "groups": readers()} for uri in sorted(folders, key=len, reverse=True)]
    sources = {name: readers() for name in SOURCES if rng.random() < 0.8}
    return Rules.model_validate({"rules": made, "sources": sources})


def may_read(of: Rules, groups: Sequence[str], uri: str) -> bool:
    """The rule once more, in other words than the product's."""
    for rule in of.rules:
        folder = rule.uri[:-2] if rule.uri.endswith("**") else None
        if uri == rule.uri or (folder is not None and uri[: len(folder)] == folder):
            return rule.groups is None or any(name in rule.groups for name in groups)
    source = uri.split(":")[0]
    if source not in of.sources:
        return False
    readers = of.sources[source]
    return readers is None or any(name in readers for name in groups)


def question(rng: random.Random, about: Secret) -> str:
    """What somebody may ask about a document, to find out whether it is there."""
    at = rng.randrange(1, len(about.word) - 1)
    slip = about.word[:at] + about.word[at + 1 :]
    topic = " ".join(rng.sample(COMMON, 3))
    return rng.choice(
        [
            f"What did the {topic} of {about.word} cost?",
            f"What did the {topic} of {slip} cost?",
            f"Tell me about {about.doc.uri} and {topic}.",
            "How many documents are there?",
            f"Which documents tell of {topic}?",
        ]
    )


def leaks(
    store: LakeStore,
    answerer: Answerer,
    view: View,
    forbidden: Sequence[Secret],
    allowed: Sequence[Secret],
    ask: str,
    about: Secret,
    turn: int,
) -> list[str]:
    """What of forbidden documents comes back to a question, a line each."""
    reader = answerer.reader
    narrow = answerer.narrowed(view.where, view.sees)
    vector = answerer.embedder.embed([ask])[0]
    mine = narrow.reader

    def ids(name: str) -> list[str]:
        return [getattr(hit.chunk, name) for hit in reader.search(ask, vector)]

    parts: list[tuple[str, Callable[[], object]]] = [
        ("near", lambda: [hit.chunk for hit in mine.search_near(ask.split()[-2], limit=9)]),
        ("chunks", lambda: mine.chunks(ids("chunk_id"))),
        ("sections", lambda: mine.sections(ids("section_id"))),
        ("documents", lambda: mine.documents()),
        ("names", lambda: unknown_names(mine, ask)),
        ("found", lambda: narrow.find(ask).to_record()),
        ("filtered", lambda: narrow.find(ask, filters=only(about)).to_record()),
        ("document", lambda: [fetched(mine, one) for one in ids("chunk_id")]),
        ("sources", lambda: sources_shown(store, mine)),
        ("answer", lambda: json.dumps(narrow.answer(ask).to_record(), ensure_ascii=False)),
    ]
    name, of = parts[turn % len(parts)]
    told = {"hits": repr([hit.chunk for hit in mine.search(ask, vector)]), name: str(of())}
    found = []
    for part, text in told.items():
        for secret in forbidden:
            if secret.word in text and secret.word not in ask:
                found.append(f"{part}: the word of {secret.doc.uri}")
            if secret.doc.uri in text and secret.doc.uri not in ask:
                found.append(f"{part}: {secret.doc.uri}")
    if len(mine) != len(allowed):
        found.append(f"{len(mine)} rows are counted, {len(allowed)} may be read")
    if name == "sources":
        counted = sum(one["documents"] for one in sources_shown(store, mine)["sources"])
        if counted != len(allowed):
            found.append("sources are not counted right")
    if name == "filtered" and about in forbidden:
        n_searched = narrow.find(ask, filters=only(about)).n_chunks
        if n_searched:
            found.append(f"a filter tells that {about.doc.uri} is there")
    if name == "documents" and len(mine.documents()) != len(allowed):
        found.append("documents are not counted right")
    return found


def only(about: Secret) -> Filters:
    """The filter that somebody may give to find out whether a document is there."""
    return Filters(where=(f"uri = {about.doc.uri}",))


def fetched(reader: IndexReader, wanted: str) -> object:
    """A document, or why there is none."""
    try:
        return document_of(reader, wanted)
    except UnknownDocumentError as error:
        return error


def lost(reader: IndexReader, view: View, embedder: WordEmbedder, ask: str, ids: list[str],
         vectors: np.ndarray, may: np.ndarray) -> int:  # fmt: skip
    """How many of the nearest permitted rows the filtered search does not find."""
    vector = embedder.embed([ask])[0]
    hits = reader.narrowed(view.where).search("", vector, limit=N_NEAREST)
    scores = np.where(may, vectors @ vector, -2.0)
    wanted = sorted(scores[may], reverse=True)[:N_NEAREST]
    got = sorted((scores[ids.index(hit.chunk.chunk_id)] for hit in hits), reverse=True)
    # of rows that are equally near, any will do
    return sum(at >= len(got) or abs(score - got[at]) > 1e-5 for at, score in enumerate(wanted))


def run(store: LakeStore, n_questions: int, seed: int, n_documents: int = 120) -> Counter[str]:
    """Ask; what was counted, leaks by kind among it."""
    rng, embedder = random.Random(seed), WordEmbedder()
    known = documents(rng, n_documents)
    reader = reader_of(store, [secret.doc for secret in known], embedder)
    rows = store.rows("chunk_index", columns=["chunk_id", "uri", "vector"])
    ids, vectors = [row["chunk_id"] for row in rows], np.array([row["vector"] for row in rows])
    counted: Counter[str] = Counter(LEAKS=0)
    made = rules(rng, known)
    for number in range(n_questions):
        if number % PER_RULES == 0:
            made = rules(rng, known)
        groups = rng.sample(GROUPS, rng.randrange(4))
        view = made.view(*groups)
        allowed = [one for one in known if may_read(made, groups, one.doc.uri)]
        forbidden = [one for one in known if not may_read(made, groups, one.doc.uri)]
        about = rng.choice(forbidden or known)
        ask = question(rng, about)
        chat = [ScriptedChat(role, copies) for role in ("slm", "llm")]
        answerer = Answerer(reader, chat[0], chat[1], embedder)
        counted["questions"] += 1
        counted["about a forbidden document"] += bool(forbidden)
        for leak in leaks(store, answerer, view, forbidden, allowed, ask, about, number):
            counted["LEAKS"] += 1
            print(f"{ask!r} as {groups}: {leak}")  # noqa: T201 - for whoever runs it
        seen = {one.doc.uri for one in allowed}
        may = np.array([row["uri"] in seen for row in rows])
        counted["nearest rows"] += min(N_NEAREST, int(may.sum()))
        counted["NEAREST ROWS NOT FOUND"] += lost(reader, view, embedder, ask, ids, vectors, may)
    return counted


def main() -> int:
    """Run from the command line; exit code 1 if anything leaked or was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--documents", type=int, default=120)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = LakeStore(f"{folder}/lake")
        counted = run(store, chosen.questions, chosen.seed, chosen.documents)
    for what, n in counted.items():
        print(f"{n:>9,}  {what}")  # noqa: T201
    return int(bool(counted["LEAKS"] or counted["NEAREST ROWS NOT FOUND"]))


if __name__ == "__main__":
    sys.exit(main())
