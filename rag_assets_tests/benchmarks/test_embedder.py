from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers

from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import Profile
from rag_assets.settings import load_settings
from rag_assets_tests.benchmarks import embedder
from rag_assets_tests.benchmarks.embedder import report
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.suites.engine_alone import dtype_of


def turned(degrees: float) -> NDArray[np.float32]:
    """Two vectors of length 1, the second turned from its axis."""
    angle = np.radians(degrees)
    return np.array([[1, 0], [np.cos(angle), np.sin(angle)]], dtype=np.float32)


@pytest.mark.parametrize(
    ("chosen", "degrees", "reached"),
    [
        ("float32", 1.0, [True, True]),
        ("bfloat16", 1.0, [False, True]),  # slower, and near enough: cos 1 = 0.9998
        ("bfloat16", 5.0, [False, False]),  # cos 5 = 0.996
    ],
)
def test_speed_and_nearness_are_measured_against_float32(
    chosen: str, degrees: float, reached: Sequence[bool]
) -> None:
    part = report(
        {"float32": [2.0, 1.0, 2.0], "bfloat16": [3.0, 3.0, 4.0]},
        {"float32": turned(0), "bfloat16": turned(degrees)},
        600,
        2,
        chosen=chosen,
    )
    exact, other = part.tables[0].rows
    assert list(exact[1:]) == ["300", "1.00 (1.00 to 1.00)", "1.00000", "1.00000"]
    least = np.cos(np.radians(degrees))
    assert list(other[1:]) == [
        "200", "2.00 (1.50 to 3.00)", f"{(1 + least) / 2:.5f}", f"{least:.5f}"
    ]  # fmt: skip
    assert [row[0] for row in (exact, other)] == [
        f"{dtype} (the profile's here)" if dtype == chosen else dtype
        for dtype in ("float32", "bfloat16")
    ]
    assert [goal.reached for goal in part.goals] == reached


def test_engines_take_turns_and_the_first_texts_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[str, int]] = []

    class Engine:
        def __init__(self, name: str) -> None:
            self.name = name

        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            asked.append((self.name, len(texts)))
            return turned(0)

    monkeypatch.setattr(embedder, "N_ROUNDS", 2)
    engines = {name: Engine(name) for name in ("one", "other")}
    seconds, vectors = embedder._in_turns(engines, ["text"] * 100, lambda _: None)  # type: ignore[arg-type]  # it embeds, and no more is asked of it
    assert asked == [("one", 64), ("other", 64), *[("one", 100), ("other", 100)] * 2]
    assert {name: len(taken) for name, taken in seconds.items()} == {"one": 2, "other": 2}
    assert set(vectors) == {"one", "other"}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer of words in the place of the embedder's."""
    words = RustTokenizer(models.WordLevel({"?": 0}, "?"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    monkeypatch.setattr(embedder, "require_pulled", lambda _spec, _cache: tmp_path)
    monkeypatch.setenv("RAG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(embedder, "N_PAGES", 2)
    monkeypatch.setattr(embedder, "N_TEXTS", 3)
    monkeypatch.setattr(embedder, "N_ROUNDS", 1)


@pytest.mark.usefixtures("weights")
def test_every_format_has_an_engine_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[tuple[str, Path]] = []
    sizes: list[int] = []

    class Engine:
        def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
            sizes.extend(len(text.split()) for text in texts)
            return np.ones((len(texts), 1), dtype=np.float32)

    @contextmanager
    def serving(profile: Profile, *, cache_dir: Path, state_dir: Path) -> Iterator[Engine]:
        started.append((dtype_of(profile, "embedder"), state_dir))
        yield Engine()

    monkeypatch.setattr(embedder, "serving_embedder", serving)
    for name in ("one", "other"):
        text = f"<p>{'The lamp of the lighthouse is lit at dusk ' * 80}.</p>"
        (tmp_path / f"{name}.html").write_text(f"<html><body><article>{text}</article></body>")
    part = embedder.measure(
        load_settings(), load_profile("cpu"), lambda _: None, pages_from=tmp_path
    )
    assert [dtype for dtype, _ in started] == ["float32", "bfloat16"]
    assert len({state for _, state in started}) == 2
    assert len(sizes) == 2 * 2 * 3  # formats, at first and once in turn, texts
    assert 250 < max(sizes) <= 256
    assert part.title.startswith("The embedder in 2 number formats, 3 texts of ")


@pytest.mark.usefixtures("weights")
def test_pages_without_text_are_refused_before_an_engine_starts(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / f"{name}.html").write_text("<html><body></body></html>")
    with pytest.raises(BenchmarkError, match="expected pages with main content, got 2 without any"):
        embedder.measure(load_settings(), load_profile("cpu"), lambda _: None, pages_from=tmp_path)
