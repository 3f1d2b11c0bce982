import math
import statistics
from pathlib import Path

import numpy as np
import pytest

from rag_assets.documents.reading import read_document
from rag_assets.documents.signatures import jaccard, shingles
from rag_assets.duplicates.grouping import SIBLING_THRESHOLD
from rag_assets_tests.benchmarks import synthetic

N = 1200


@pytest.fixture(scope="module")
def corpus() -> list[synthetic.Document]:
    return [synthetic.document(7, number) for number in range(N)]


def test_a_document_follows_from_seed_and_number_alone(corpus: list[synthetic.Document]) -> None:
    for number in (1100, 3, 0):
        assert synthetic.document(7, number) == corpus[number]
        assert synthetic.path_of(7, number) == corpus[number].path
    assert synthetic.document(8, 3).content != corpus[3].content
    assert len({made.path for made in corpus}) == N


@pytest.mark.parametrize("median_words", [synthetic.MEDIAN_WORDS, 60])
def test_lengths_are_as_stated(median_words: int) -> None:
    made = [synthetic.document(7, number, median_words=median_words) for number in range(N)]
    logs = [math.log(of.n_words) for of in made]
    standard_error = synthetic.SIGMA / N**0.5
    assert statistics.mean(logs) == pytest.approx(math.log(median_words), abs=4 * standard_error)
    assert statistics.stdev(logs) == pytest.approx(synthetic.SIGMA, rel=4 / (2 * N) ** 0.5)


def test_words_are_zipf(corpus: list[synthetic.Document]) -> None:
    ranks = synthetic._ranks(np.random.default_rng(1), 200_000)
    counts = np.bincount(ranks)[10:300]
    slope, _ = np.polyfit(np.log(np.arange(11, 301)), np.log(np.maximum(counts, 1)), 1)
    assert slope == pytest.approx(-synthetic.ZIPF, abs=0.1)


def test_every_rank_has_a_word_of_its_own() -> None:
    ranks = np.concatenate([np.arange(20_000), np.arange(synthetic.N_WORDS - 100, 1_000_000)])
    words = synthetic.spelled(ranks)
    assert len(set(words)) == len(words)
    assert all(word.isalpha() and word.islower() for word in words)


def test_shares_are_as_stated(corpus: list[synthetic.Document]) -> None:
    def within(found: int, share: float) -> bool:
        return bool(abs(found - N * share) <= 4 * (N * share * (1 - share)) ** 0.5)

    assert within(sum(made.is_exact for made in corpus), synthetic.EXACT_SHARE)
    near = [made for made in corpus if made.copy_of is not None and not made.is_exact]
    assert within(len(near), synthetic.NEAR_SHARE)
    for ending, share in zip(synthetic.ENDINGS, synthetic.ENDING_SHARES, strict=True):
        assert within(sum(made.path.endswith(f".{ending}") for made in corpus), share)
    footed = sum(any(line in made.content for line in synthetic.BOILERPLATE) for made in corpus)
    assert within(footed, synthetic.BOILERPLATE_SHARE)


def test_copies_are_what_the_duplicates_stage_collapses_or_relates(
    corpus: list[synthetic.Document],
) -> None:
    copies = [made for made in corpus if made.copy_of is not None]
    for made in copies:
        assert made.copy_of is not None
        original = corpus[made.copy_of]
        assert (original.copy_of, original.number < made.number) == (None, True)
        if made.is_exact:
            assert made.content == original.content
        elif made.n_words > 60:
            mine, theirs = shingles(made.content), shingles(original.content)
            assert SIBLING_THRESHOLD <= jaccard(mine, theirs) < 1


def test_an_edit_is_small(corpus: list[synthetic.Document]) -> None:
    before, after = corpus[5], synthetic.document(7, 5, revision=1)
    assert before.path == after.path
    assert before.content != after.content
    assert jaccard(shingles(before.content), shingles(after.content)) > 0.8
    assert synthetic.document(7, 5, revision=2).content != after.content


def test_every_format_is_read_with_its_structure(corpus: list[synthetic.Document]) -> None:
    for ending in synthetic.ENDINGS:
        made = max((one for one in corpus if one.path.endswith(ending)), key=lambda m: m.n_words)
        read = read_document(made.content.encode(), made.path)
        kinds = {block.kind for block in read.blocks}
        assert read.flags == []
        expected = {"paragraph"} if ending == "txt" else {"heading", "list", "table", "code"}
        assert expected <= kinds
        n_words = len([word for word in read.text.split() if any(map(str.isalpha, word))])
        assert n_words == pytest.approx(made.n_words, rel=0.05)


def test_files_are_written_as_they_are_made(tmp_path: Path) -> None:
    made = next(synthetic.write(tmp_path, 7, range(999, 10**9)))
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.*")] == [made.path]
    assert (tmp_path / made.path).read_text() == made.content
    assert made.path.startswith("00000/")
    assert synthetic.path_of(7, 1000).startswith("00001/")
