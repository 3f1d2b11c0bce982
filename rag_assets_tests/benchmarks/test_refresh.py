import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from rag_assets_tests.benchmarks import findings, refresh
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.benchmarks.pages import copied, edit, fetched, unique_sentences
from rag_assets_tests.benchmarks.peers import environment
from rag_assets_tests.benchmarks.peers.plain import chunks_of, count, windows
from rag_assets_tests.benchmarks.refresh import DAYS, Run, report

PAGE = """<html><body><p>{first} {filler}</p><p>All pages have this sentence, and it tells nobody
 which of them one looks at. {filler}</p></body></html>"""
FILLER = "It goes on for a while so that the paragraph is long enough to be taken for text. " * 3


@pytest.fixture
def pages(tmp_path: Path) -> list[Path]:
    for n in range(30):
        first = f"Page number {n} is about the matter that is known as number {n} alone."
        (tmp_path / f"p{n:02}.html").write_text(PAGE.format(first=first, filler=FILLER))
    return sorted(tmp_path.glob("*.html"))


# Pages


def test_a_sample_is_the_same_twice(pages: list[Path], tmp_path: Path) -> None:
    one, other = (copied(tmp_path, tmp_path / name, 5) for name in ("one", "other"))
    assert [page.name for page in one] == [page.name for page in other]
    assert len(one) == 5
    assert one[0].read_text() == (tmp_path / one[0].name).read_text()


@pytest.mark.parametrize("n_pages", [31, None])
def test_too_few_pages_are_a_sentence(tmp_path: Path, n_pages: int | None) -> None:
    with pytest.raises(BenchmarkError, match=r"expected at least \d+ HTML pages .* got 0"):
        copied(tmp_path, tmp_path / "target", n_pages)


def test_an_edit_adds_its_sentence_to_its_page_and_touches_no_other(pages: list[Path]) -> None:
    before = {page.name: page.read_text() for page in pages}
    marks = edit(pages, 4, day=2)
    after = {page.name: page.read_text() for page in pages}
    assert len({mark.page for mark in marks}) == 4
    assert {name for name in after if after[name] != before[name]} == {m.page for m in marks}
    for mark in marks:
        holding = [name for name, text in after.items() if mark.sentence in text]
        assert holding == [mark.page]
    assert {m.page for m in edit(pages, 4, day=3)} != {m.page for m in marks}


def test_pages_without_a_long_paragraph_are_not_edited(tmp_path: Path) -> None:
    (tmp_path / "short.html").write_text("<p>too short</p>")
    assert edit([tmp_path / "short.html"], 1, day=1) == []


def test_a_unique_sentence_stands_in_one_page(pages: list[Path]) -> None:
    marks = unique_sentences(pages, 3)
    assert len({mark.page for mark in marks}) == 3
    for mark in marks:
        assert [p.name for p in pages if mark.sentence in p.read_text()] == [mark.page]
    assert unique_sentences([pages[0], pages[0]], 1) != []  # one page, named twice, is one


def test_no_apt_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"expected apt-get, .* --pages-from"):
        fetched(tmp_path, lambda _: None)


# Chunks of the floor


@pytest.fixture
def letters() -> Tokenizer:
    """A token a letter, none for white space."""
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split("", "isolated")]
    )
    return tokenizer


@pytest.mark.parametrize(
    "text", ["", " \n ", "one two three", " " * 500 + "late", "ä ö" * 40, "no-space" * 30]
)
def test_windows_fit_and_lose_white_space_only(letters: Tokenizer, text: str) -> None:
    pieces = list(windows(text, letters, 10))
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(0 < count(letters, piece) <= 10 for piece in pieces)
    assert all(count(letters, piece) == 10 for piece in pieces[:-1])


def test_a_piece_that_has_more_tokens_alone_is_shortened() -> None:
    class Doubling:
        """Two tokens a word, but three for a text that ends within one."""

        def encode(self, text: str, add_special_tokens: bool) -> "Doubling":
            self.offsets = [(i, i + 1) for i, sign in enumerate(text) if sign != " "]
            self.ids = [*self.offsets, *([(0, 0)] if len(self.offsets) % 2 else [])]
            return self

    assert list(windows("ab cd ef", Doubling(), 3)) == ["ab", "cd", "ef"]


def test_chunks_of_the_same_page_have_the_same_ids(letters: Tokenizer) -> None:
    one, other = (chunks_of("/any/where/p.html", "same same", letters, 4) for _ in range(2))
    assert one == other
    assert len({chunk.id for chunk in one}) == len(one) == 2
    assert {chunk.page for chunk in one} == {"p.html"}


# Environments


def test_an_environment_is_made_once_and_again_if_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[Sequence[str]] = []

    def make(command: Sequence[str], peer: str) -> None:
        commands.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)

    monkeypatch.setattr(environment, "_run", make)
    python = environment.python_of("llamaindex", tmp_path, lambda _: None)
    assert environment.python_of("llamaindex", tmp_path, lambda _: None) == python
    assert len(commands) == 2
    listed = Path(commands[1][-1]).read_text()
    assert "llama-index-core==" in listed
    (python.parent.parent / "installed").unlink()
    environment.python_of("llamaindex", tmp_path, lambda _: None)
    assert len(commands) == 4


def test_what_cannot_be_installed_is_a_sentence() -> None:
    with pytest.raises(BenchmarkError, match="somebody cannot be installed"):
        environment._run(["python3", "-c", "raise SystemExit('no')"], "somebody")


@pytest.mark.parametrize("peer", refresh.PEERS)
def test_all_that_a_peer_installs_is_pinned(peer: str) -> None:
    folder = Path(environment.__file__).parent
    lines = (folder / f"requirements-{peer}.txt").read_text().splitlines()[1:]
    assert len(lines) > 10
    assert all("==" in line for line in lines)
    assert (folder / f"with_{peer}.py").is_file()


# Report


def runs_of(**full_s: float) -> list[Run]:
    """Each arm's runs: a full build in so many seconds, every other day in 3 s."""
    return [
        Run(arm, day, what, full if what == "full" else 3.0, 1.0, 2.0, 1000, 50, 2, 2)
        for day, what in enumerate(DAYS)
        for arm, full in full_s.items()
    ]


def goals_of(runs: list[Run]) -> dict[str, bool]:
    starts = {run.arm: 1.0 for run in runs}
    return {goal.aim.split()[0]: goal.reached for goal in report(runs, starts, 100, []).goals}


def test_goals_are_judged_by_what_was_measured() -> None:
    good = runs_of(floor=100.0, ours=110.0, llamaindex=170.0, cocoindex=150.0)
    reached = report(good, dict.fromkeys(refresh.TITLES, 1.0), 100, []).goals
    assert len(reached) == 6
    assert all(goal.reached for goal in reached)
    slow = runs_of(floor=100.0, ours=116.0, llamaindex=170.0)
    assert [g.reached for g in report(slow, {"floor": 1, "ours": 1, "llamaindex": 1}, 9, []).goals][
        :2
    ] == [False, False]


@pytest.mark.parametrize(("what", "seconds"), [("unchanged", 3.2), ("changed", 4.3)])
def test_a_slow_day_is_a_missed_goal(what: str, seconds: float) -> None:
    runs = [
        replace(run, seconds=seconds) if run.what == what else run
        for run in runs_of(floor=100.0, ours=110.0)
    ]
    assert [aim for aim, reached in goals_of(runs).items() if not reached] == [f"{what}:"]


def test_a_deleted_page_that_is_found_is_a_missed_goal() -> None:
    runs = [
        replace(run, n_marks=1) if (run.arm, run.what) == ("ours", "deleted") else run
        for run in runs_of(floor=100.0, ours=110.0)
    ]
    goals = report(runs, {"floor": 1.0, "ours": 1.0}, 100, []).goals
    assert [g.measured for g in goals if not g.reached] == ["1 of 2"]


def test_an_arm_that_is_missing_is_said_and_the_rest_is_shown() -> None:
    part = report(runs_of(floor=100.0, ours=110.0), {"floor": 1.0, "ours": 1.0}, 100, ["why"])
    assert {"why", "LlamaIndex was not measured."} <= set(part.notes)
    assert "LlamaIndex" not in findings.markdown(part).partition("- Floor:")[0]
    assert json.loads(findings.as_json(part))["name"] == "refresh"
