"""A laboratory on tiny sources: lakes, stages and indexes are real, models are fakes."""

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rag_assets.evaluations.lab import Lab, Request
from rag_assets.evaluations.replay import CompletionCache
from rag_assets.lake import generations
from rag_assets.lake.store import LakeStore
from rag_assets.models.profile_files import load_profile
from rag_assets.models.protocols import ChatModel, ChatRole, Completion
from rag_assets.settings import Settings
from rag_assets_tests.answers.fakes import Call, Reply, ScriptedChat, copies
from rag_assets_tests.world import CountingEmbedder, World

SYLLABLES = ("ka", "lo", "mi", "ru", "ten", "sol", "var", "nix", "pem", "dur", "fa", "gil")


def prose(name: str, n_words: int = 30) -> str:
    """Words that no other name's prose has in this order: nothing is a near copy by accident."""
    draw = random.Random(name)
    return " ".join("".join(draw.choices(SYLLABLES, k=3)) for _ in range(n_words))


def model(call: Call) -> Completion | str:
    """Copies the best line of the evidence, or its year; knows nothing by heart; paraphrases."""
    last = call.messages[-1]["content"]
    if "Question: " in last:
        said = copies(call)
        year = re.search(r"\b\d{4}\b", said) if isinstance(said, str) else None
        return year.group() if year and call.asks == "span" else said
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
        embedder = CountingEmbedder()
        models = {"slm": ScriptedChat("slm", slm), "llm": ScriptedChat("llm", llm)}
        made = Lab(
            self.settings,
            load_profile("cpu"),
            chat or models.__getitem__,  # type: ignore[arg-type]
            lambda _: embedder,
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
def bench(tmp_path: Path, in_process: None) -> Bench:
    return Bench(tmp_path)


def chats(lab: Lab) -> list[ScriptedChat]:
    """The fakes behind a laboratory's models."""
    found = [lab.chat("slm"), lab.chat("llm")]
    return [chat for chat in found if isinstance(chat, ScriptedChat)]


def n_calls(lab: Lab) -> int:
    return sum(len(chat.calls) for chat in chats(lab))
