from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers

from rag_assets.models.profiles import Profile
from rag_assets.settings import load_settings
from rag_assets_tests.benchmarks import languages
from rag_assets_tests.benchmarks.nearness import passages, report
from rag_assets_tests.fakes import FakeEmbedder
from rag_assets_tests.suites.bench import asked, ship, ships, write_judged, write_qa
from rag_assets_tests.suites.datasets import Document


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """XQuAD with eight ships in two languages, and a judged set of six; a tokenizer of words."""
    folder = tmp_path / "data"
    documents, questions = [], []
    for language in ("de", "en"):
        for name, year in ships("Mv", 8):
            document = ship(name, year, language)
            documents.append({**document, "id": f"{document['id']}-{language}"})
            question = asked(name, year, lang=language, parallel_id=name)
            question |= {"id": f"q-{name}-{language}", "doc_ids": [f"d-{name}-{language}"]}
            questions.append(question)
    write_qa(folder, "xquad", documents, questions)
    write_judged(folder, "cisi", 6)
    words = RustTokenizer(models.WordLevel({"?": 0}, "?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    monkeypatch.setattr(languages, "require_pulled", lambda _spec, _cache: tmp_path)
    for name, value in {"RAG_EVAL_DATA": folder, "RAG_HOME": tmp_path / "home"}.items():
        monkeypatch.setenv(name, str(value))
    return folder


def test_both_embedders_are_asked_once_and_what_is_kept_is_shown_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts: list[str] = []
    started: list[str] = []

    class Engine(FakeEmbedder):
        def embed(self, given: list[str]) -> np.ndarray:  # type: ignore[override]
            texts.extend(given)
            return super().embed(given)

    @contextmanager
    def serving(profile: Profile, **_: Path) -> Iterator[Engine]:
        started.append(profile.name)
        yield Engine()

    monkeypatch.setattr(languages, "serving_embedder", serving)
    given = {"sets": ("xquad", "cisi"), "n_documents": 7}
    part = languages.measure(load_settings(), tmp_path, lambda _: None, **given)  # type: ignore[arg-type]
    assert [list(row[:3]) for row in part.tables[0].rows] == [
        ["xquad, de", "7", "7"], ["xquad, en", "7", "7"], ["cisi", "6", "6"]
    ]  # fmt: skip
    assert min(float(row[3]) for row in part.tables[0].rows) > 0.8  # each text has its ship
    assert sum(text.startswith("query: ") for text in texts) == 7 + 7 + 6
    assert sum(text.startswith("passage: ") for text in texts) >= 7 + 7 + 6
    assert started == ["cpu", "cpu-multilingual"]
    again = languages.measure(load_settings(), tmp_path, lambda _: None, **given)  # type: ignore[arg-type]
    assert (again, len(started)) == (part, 2)


def test_languages_are_asked_the_same(data: Path) -> None:
    german, english = languages.slices("xquad", data, (), 5)
    (alone,) = languages.slices("xquad", data, ("de",), 5)
    assert alone == german
    assert len(german.documents) == len(german.queries) == 5
    assert [d.id[:-3] for d in german.documents] == [d.id[:-3] for d in english.documents]
    assert [q.id[:-3] for q in german.queries] == [q.id[:-3] for q in english.queries]


def test_nearness_takes_the_languages_in_turns_and_names_the_least() -> None:
    documents = [Document(f"{n}-{lang}", "", "text", lang) for lang in "ab" for n in range(150)]
    chosen = passages(documents)
    assert [one.language for one in chosen[:4]] == ["a", "b", "a", "b"]
    assert len(chosen) == 200
    cosines = np.full(200, 0.995, dtype=np.float32)
    part = report(chosen, cosines)
    assert part.goals[0].reached
    assert list(part.tables[0].rows[0]) == ["a", "100", "0.9950", "0.9950"]
    cosines[3] = 0.98
    assert not report(chosen, cosines).goals[0].reached
