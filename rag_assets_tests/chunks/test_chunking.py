import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_assets.chunks.chunking import (
    Counter,
    Span,
    chunk_section,
    embedded_text,
    make_header,
)
from rag_assets.documents.blocks import Block
from rag_assets.documents.cleaning import clean_blocks
from rag_assets.models.profiles import load_profile
from rag_assets.models.tokens import Tokenizer
from rag_assets.models.weights import cache_root, require_pulled
from rag_assets_tests.world import WordCounter

ugly = st.text(
    st.one_of(
        st.sampled_from("abcde .,;!?\n\t"),
        st.sampled_from(
            "\U0001f469\u200d\U0001f680é\u0301漢字ة\u2028\xa0ﷺİß\u0e33\U0001f1e9\ufffd"
        ),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=200,
)
sentences = st.lists(
    st.sampled_from(
        ["The ferry leaves at seven.", "Fares: 40 kr;", "unaffable", "漢字" * 9, "x" * 90]
    ),
    max_size=25,
).map(" ".join)
texts = st.lists(st.one_of(ugly, sentences), min_size=1, max_size=4)


@pytest.fixture(scope="module", params=["words", pytest.param("minilm", id="minilm")])
def counter(request: pytest.FixtureRequest) -> Counter:
    if request.param == "words":
        return WordCounter()
    # `make test` pulls the weights before it runs the tests.
    return Tokenizer.from_dir(require_pulled(load_profile("cpu").spec("embedder"), cache_root()))


def chunked(
    parts: list[str], counter: Counter, header: str, max_tokens: int
) -> tuple[str, list[tuple[int, int]], list[Span]]:
    cleaned = clean_blocks([Block("paragraph", part) for part in parts])
    text, spans = cleaned.text, cleaned.blocks
    blocks = [(span.start, span.end) for span in spans]
    return text, blocks, chunk_section(text, blocks, header, counter, max_tokens=max_tokens)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(parts=texts, header=st.sampled_from(["", "Title > Part"]), max_tokens=st.integers(16, 60))
def test_cap_kept_nothing_lost_same_twice(
    counter: Counter, parts: list[str], header: str, max_tokens: int
) -> None:
    text, blocks, spans = chunked(parts, counter, header, max_tokens)
    assert chunk_section(text, blocks, header, counter, max_tokens=max_tokens) == spans
    position = 0
    for span in spans:
        assert not text[position : span.start].strip()
        assert span.start < span.end
        piece = text[span.start : span.end]
        assert span.n_tokens == counter.count(embedded_text(header, piece)) <= max_tokens
        position = span.end
    assert not text[position:].strip()


def cut(text: str, max_tokens: int, header: str = "") -> list[str]:
    spans = chunk_section(text, [(0, len(text))], header, WordCounter(), max_tokens=max_tokens)
    return [text[span.start : span.end] for span in spans]


def test_what_fits_is_not_cut() -> None:
    assert cut("one two three.\nfour", 8) == ["one two three.\nfour"]


@pytest.mark.parametrize(
    ("text", "chunks"),
    [
        ("a b c d e f\ng h i j k", ["a b c d e f", "g h i j k"]),  # at the line
        ("a b c d e. f g h i j.", ["a b c d e.", "f g h i j."]),  # at the sentence
        ("a b c d e f g h i j", ["a b c d e f g h", "i j"]),  # at the word
        ("a b\nc d\ne f g h i j", ["a b\nc d", "e f g h i j"]),  # small lines are joined
    ],
)
def test_cuts_are_as_coarse_as_possible(text: str, chunks: list[str]) -> None:
    assert cut(text, 8) == chunks


def test_signs_without_spaces_are_cut_between_characters() -> None:
    chunks = cut("?" * 30, 8)
    assert "".join(chunks) == "?" * 30
    assert max(map(len, chunks)) <= 8


def test_blocks_that_fit_together_are_joined() -> None:
    text = "a b c\n\nd e f\n\ng h i j k l"
    spans = chunk_section(text, [(0, 5), (7, 12), (14, 25)], "", WordCounter(), max_tokens=8)
    assert [text[s.start : s.end] for s in spans] == ["a b c\n\nd e f", "g h i j k l"]


def test_header_counts() -> None:
    assert cut("a b c d e f g h i j", 12, "T > U") == ["a b c d e f g h i", "j"]


def test_header_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 8 of 10 tokens, got one that leaves 7"):
        cut("a", 10, "T > U")


@pytest.mark.parametrize(
    ("title", "path", "max_tokens", "header"),
    [
        ("T", ["A", "B"], 40, "T > A > B"),
        ("T", ["T", "B"], 40, "T > B"),
        ("", [], 40, ""),
        ("T", ["A", "B", "C", "D"], 20, "T > C > D"),  # the middle goes first
        ("a b c d e f", [], 16, "a b c d"),
    ],
)
def test_header(title: str, path: list[str], max_tokens: int, header: str) -> None:
    assert make_header(title, path, WordCounter(), max_tokens) == header


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(title=ugly, path=st.lists(ugly, max_size=3))
def test_header_always_leaves_room(counter: Counter, title: str, path: list[str]) -> None:
    header = make_header(title, path, counter, 64)
    assert chunk_section("word", [(0, 4)], header, counter, max_tokens=64)


def test_heading_stays_with_its_long_paragraph() -> None:
    text = "Head\n\n" + "w " * 30
    spans = chunk_section(text, [(0, 4), (6, 65)], "", WordCounter(), max_tokens=16)
    assert [s.n_tokens for s in spans] == [16, 15]
    assert text[: spans[0].end].startswith("Head\n\nw w")
