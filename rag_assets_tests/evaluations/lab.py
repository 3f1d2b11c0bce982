"""A laboratory on tiny public sets: lakes, stages and indexes are real, models are fakes."""

import gzip
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rag_assets.evaluations import corpora
from rag_assets.evaluations.datasets import DATASETS
from rag_assets.evaluations.lab import Lab, Request
from rag_assets.evaluations.replay import CompletionCache
from rag_assets.lake import generations
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients.openai_http import ChatModel, ChatRole, Completion
from rag_assets.models.profiles import load_profile
from rag_assets.settings import Settings
from rag_assets.sources.catalog import declared
from rag_assets_tests.answers.fakes import Call, Reply, ScriptedChat, copies
from rag_assets_tests.world import CountingEmbedder, World, read_in_process

SYLLABLES = ("ka", "lo", "mi", "ru", "ten", "sol", "var", "nix", "pem", "dur", "fa", "gil")


def prose(name: str, n_words: int = 30) -> str:
    """Words that no other name's prose has in this order: nothing is a near copy by accident."""
    draw = random.Random(name)
    return " ".join("".join(draw.choices(SYLLABLES, k=3)) for _ in range(n_words))


def ship(name: str, year: int, language: str = "en") -> dict[str, object]:
    text = f"The ferry {name} was built in {year}. {prose(name)}."
    return {"id": f"d-{name}", "title": name, "text": text, "lang": language}


def asked(name: str, year: int | None, **more: object) -> dict[str, object]:
    """When was a ship built; None: the documents do not say."""
    return {
        "id": f"q-{name}", "question": f"When was the ferry {name} built?",
        "answers": [] if year is None else [str(year)], "doc_ids": [f"d-{name}"],
        "answerable": year is not None, "lang": "en", **more,
    }  # fmt: skip


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(lines.encode()))


def write_qa(
    data: Path, name: str, documents: list[dict[str, object]], questions: list[dict[str, object]]
) -> None:
    home = data / DATASETS[name].folder
    write_lines(home / "documents.jsonl.gz", documents)
    write_lines(home / "questions.jsonl.gz", questions)


def ships(prefix: str, n: int) -> list[tuple[str, int]]:
    return [(f"{prefix}{SYLLABLES[i].capitalize()}", 1900 + 7 * i + len(prefix)) for i in range(n)]


def write_ships(
    data: Path, name: str, n: int, *, n_unanswerable: int = 0, **more: object
) -> list[tuple[str, int]]:
    """A set of n ships and a question about each; the last ones' years are not in the documents."""
    found = ships(name.replace("-", "").capitalize(), n)
    documents = [ship(*one) for one in found]
    questions = [asked(*one, **more) for one in found]
    for number in range(n - n_unanswerable, n):
        documents[number]["text"] = f"Of the ferry {found[number][0]}: {prose(found[number][0])}."
        questions[number] = asked(found[number][0], None, **more)
    write_qa(data, name, documents, questions)
    return found


def write_judged(data: Path, name: str, n: int) -> None:
    home = data / DATASETS[name].folder
    found = ships(name.capitalize(), n)
    rows = [ship(*one) for one in found]
    corpus = [{"_id": r["id"], "title": r["title"], "text": r["text"]} for r in rows]
    queries = [{"_id": f"q{i}", "text": f"ferry {one[0]}"} for i, one in enumerate(found)]
    write_lines(home / "corpus.jsonl.gz", corpus)  # type: ignore[arg-type]
    write_lines(home / "queries.jsonl.gz", queries)  # type: ignore[arg-type]
    (home / "qrels").mkdir()
    lines = [f"q{i}\td-{one[0]}\t1\n" for i, one in enumerate(found)]
    (home / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    if DATASETS[name].has_claims:
        claims = [
            {"_id": f"q{i}", "claim": "x", "evidence": [{"label": "SUPPORT"}] * (i % 2)}
            for i in range(n)
        ]
        write_lines(home / "claims.jsonl.gz", claims)  # type: ignore[arg-type]


def refresh_here(home: Path, _settings: Settings, tell: Callable[[str], None]) -> None:
    """What ``rag refresh`` does in a home, in this process and with fakes for models."""
    (source,) = declared(home / "sources.yaml").values()
    world = World(home / "unused", LakeStore(str(home / "lake")), source.name)
    world.source, world.root = source, Path(source.where)
    generations.publish(world.store, world.refresh().generation)
    tell("refreshed (here)")


def model(call: Call) -> Completion | str:
    """Copies the best line of the evidence; knows nothing by heart; paraphrases in one way."""
    last = call.messages[-1]["content"]
    if "Question: " in last:
        return copies(call)
    return last.removeprefix("Rephrase this question:\n").replace("When was", "In what year was")


def never(role: ChatRole) -> ChatModel:
    raise AssertionError(f"nothing here may need a chat model, yet the {role} was asked for")


@dataclass
class Bench:
    """Makes laboratories on one home and one folder of data."""

    folder: Path
    lines: list[str] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def settings(self) -> Settings:
        home = self.folder / "home"
        home.mkdir(parents=True, exist_ok=True)
        return Settings(
            home=home, state=home / "run", lake_uri=str(home / "lake"), cache=home / "cache",
            postgres_url=None, answerer_port=0, ui_port=0, eval_data=self.data,
        )  # fmt: skip

    def lab(
        self,
        cache: Path | None = None,
        *,
        slm: Reply = model,
        llm: Reply = model,
        chat: Callable[[ChatRole], ChatModel] | None = None,
        limit: int | None = None,
        slices: Mapping[str, str] | None = None,
        seed: int = 1,
    ) -> Lab:
        models = {"slm": ScriptedChat("slm", slm), "llm": ScriptedChat("llm", llm)}
        made = Lab(
            self.settings,
            load_profile("cpu"),
            chat or models.__getitem__,  # type: ignore[arg-type]
            CountingEmbedder(),
            LakeStore(self.settings.lake_uri),
            Request(limit, slices or {}, seed),
            self.lines.append,
        )
        if cache is not None:
            made.cache = CompletionCache(cache / "completions.sqlite")
        return made

    def golden(self, *names: str) -> None:
        """Sources with a document and golden questions each; published."""
        store, entries = LakeStore(self.settings.lake_uri), []
        for name in names:
            world = World(self.settings.home, store, name)
            world.write("a.md", f"# Anchor\n\nThe ferry Anchor was built in 1994. {prose(name)}.")
            world.write("b.md", f"# Buoy\n\nThe ferry Buoy was built in 1887. {prose(name + 'b')}.")
            rows: list[dict[str, object]] = [
                {"id": "a", "kind": "lookup", "question": "When was the ferry Anchor built?",
                 "answers": ["1994"], "documents": ["a.md"]},
                {"id": "b", "kind": "lookup", "question": "When was the ferry Buoy built?",
                 "answers": ["1887"], "documents": ["b.md"]},
                {"id": "u", "kind": "unanswerable", "question": "Who sank the submarine Zigzag?",
                 "answers": [], "documents": []},
            ]  # fmt: skip
            golden = self.settings.home / f"{name}.jsonl"
            golden.write_text("\n".join(json.dumps(row) for row in rows))
            entries.append(
                {"name": name, "kind": "folder", "where": name, "golden": f"{name}.jsonl"}
            )
            world.stages()
        self.settings.sources_file.write_text(json.dumps({"sources": entries}))
        generations.publish(store, world.index().generation)


@pytest.fixture
def bench(tmp_path: Path, in_process: None, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(corpora, "_refresh", refresh_here)
    return Bench(tmp_path)


def shared(folder: Path, patch: pytest.MonkeyPatch) -> Bench:
    """A bench for a whole module of tests."""

    read_in_process(patch)
    patch.setattr(corpora, "_refresh", refresh_here)
    return Bench(folder)


def chats(lab: Lab) -> list[ScriptedChat]:
    """The fakes behind a laboratory's models."""
    found = [lab.chat("slm"), lab.chat("llm")]
    return [chat for chat in found if isinstance(chat, ScriptedChat)]


def n_calls(lab: Lab) -> int:
    return sum(len(chat.calls) for chat in chats(lab))
