import re
from collections.abc import Sequence
from dataclasses import asdict, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers

from rag_assets.chunks.chunking import (
    Section,
    chunk_sections,
    embedded_text,
    floor_of,
)
from rag_assets.chunks.headers import make_headers
from rag_assets.chunks.sizes import CHARS_A_TOKEN
from rag_assets.documents.cleaning import clean_blocks
from rag_assets.documents.readers import blocks as extraction
from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.profile_files import load_profile
from rag_assets.models.protocols import Counter
from rag_assets.models.weights.pulling import cache_root, require_pulled
from rag_assets_tests.world import WordCounter

# Marks that combine, emoji of several signs, Arabic and Hebrew with direction marks, Chinese
# without spaces, signs without width, control characters, letters beyond 16 bits, odd spaces.
ODD = (
    "e\u0301\u0323", "\U0001f469\u200d\U0001f680", "\U0001f1e9\U0001f1ea", "\u0627\u0644\u0639",
    "\u202b\u05e9\u05dc\u05d5\u05dd\u202c", "\u6f22\u5b57", "\u6f22\u3002", "\u200b", "\u200d",
    "\u00ad", "\x00", "\x1f", "\x85", "\u2028", "\u00a0", "\ufdfa", "\u0130", "\u0e33", "\ufffd",
    "\U00020000", "\U0001d504", "\ud800", "\r\n", "\r", "\t", "[SEP]", " ", "\n", "\n\n",
)  # fmt: skip
ugly = st.lists(
    st.one_of(st.sampled_from(ODD), st.sampled_from("abc.,;!?|-"), st.characters()), max_size=150
).map("".join)
long_word = st.builds(
    lambda unit, n: unit * n,
    st.sampled_from(["x", "ab/", "\u6f22", "\U0001f680", "e\u0301", "7"]),
    st.sampled_from([99, 101, 700, 1500, 4000]),
)
sentences = st.lists(
    st.sampled_from(["The ferry leaves at seven.", "Fares: 40 kr;", "unaffable", "x" * 90]),
    max_size=60,
).map(" ".join)
tables = st.builds(
    lambda head, rows: "\n".join(" | ".join(row) for row in [*head, *rows]),
    st.sampled_from([[], [["pier", "fare", "name"]], [["Fares"], ["pier", "fare"]]]),
    st.lists(
        st.lists(st.sampled_from(["", "40", "a long cell of words", "\u6f22" * 9]), max_size=6),
        max_size=30,
    ),
)
code = st.lists(st.sampled_from(["def a():", "    return 1", "", "x = [1, 2, 3]"]), max_size=60)
documents = st.lists(
    st.one_of(
        st.builds(extraction.Block, st.just("heading"), ugly, st.just(1)),
        st.builds(extraction.Block, st.sampled_from(["paragraph", "list", "code", "table"]), ugly),
        st.builds(extraction.Block, st.just("paragraph"), st.one_of(sentences, long_word)),
        st.builds(extraction.Block, st.just("table"), tables),
        st.builds(extraction.Block, st.just("code"), code.map("\n".join)),
    ),
    min_size=1,
    max_size=5,
)
LONG = re.compile(r"\S{100}")  # may be one token, and more than a chunk has room for
windows = st.sampled_from([32, 48, 64, 100])
headers = st.sampled_from(["", "Title > Part"])
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def minilm() -> Tokenizer:
    # `make test` pulls the weights before it runs the tests.
    return Tokenizer.from_dir(require_pulled(load_profile("cpu").spec("embedder"), cache_root()))


@pytest.fixture(scope="module")
def byte_level() -> Tokenizer:
    """Of the kind that makes a space part of the word behind it: not additive."""
    rust = RustTokenizer(
        models.BPE(
            vocab={sign: n for n, sign in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
            | {"\u0120a": 256, "\u0120\u0120": 257, "th": 258},
            merges=[("\u0120", "a"), ("\u0120", "\u0120"), ("t", "h")],
        )
    )
    rust.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return Tokenizer(rust, {})


@pytest.fixture(scope="module", params=["words", "minilm", "byte_level"])
def counter(request: pytest.FixtureRequest) -> Counter:
    if request.param == "words":
        return WordCounter()
    found: Tokenizer = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module", params=["words", "minilm"])
def additive(request: pytest.FixtureRequest) -> Counter:
    """For laws about sizes: those of the other kind are estimates until a chunk is counted."""
    if request.param == "words":
        return WordCounter()
    found: Tokenizer = request.getfixturevalue(request.param)
    return found


def section(
    blocks: Sequence[extraction.Block], header: str = "", counter: Counter | None = None
) -> Section:
    read = [replace(block, text=extraction.well_formed(block.text)) for block in blocks]
    cleaned = clean_blocks(read)
    places = [asdict(span) for span in cleaned.blocks]
    (line,) = make_headers([(header, [])], counter or WordCounter(), 1000)
    return Section(cleaned.text, 0, places, line)


@quick
@given(st.lists(documents, min_size=1, max_size=3), headers, windows)
def test_cap_kept_nothing_lost_same_twice(
    counter: Counter, given_sections: list[list[extraction.Block]], header: str, max_tokens: int
) -> None:
    sections = [section(blocks, header, counter) for blocks in given_sections]
    found = list(chunk_sections(sections, counter, max_tokens=max_tokens))
    assert list(chunk_sections(sections, counter, max_tokens=max_tokens)) == found
    for one, chunks in zip(sections, found, strict=True):
        assert list(chunk_sections([one], counter, max_tokens=max_tokens)) == [chunks]
        position = 0
        for chunk in chunks:
            assert position <= chunk.start < chunk.end
            assert not one.text[position : chunk.start].strip()
            piece = one.text[chunk.start : chunk.end]
            assert piece.strip()
            n_tokens = counter.count(embedded_text(chunk.header, piece))
            assert chunk.n_tokens == n_tokens <= max_tokens
            assert len(piece) <= CHARS_A_TOKEN * max_tokens
            position = chunk.end
        assert not one.text[position:].strip()


@quick
@given(documents, headers, windows)
def test_no_crumbs(
    additive: Counter, blocks: list[extraction.Block], header: str, max_tokens: int
) -> None:
    one = section(blocks, header, additive)
    (chunks,) = chunk_sections([one], additive, max_tokens=max_tokens)
    for n, chunk in enumerate(chunks if len(chunks) > 1 else []):
        if additive.count(one.text[chunk.start : chunk.end]) < floor_of(max_tokens):
            near = chunks[max(n - 1, 0) : n + 2]
            around = one.text[near[0].start : near[-1].end]
            assert LONG.search(around)


@quick
@given(documents, headers, windows)
def test_blocks_that_fit_are_cut_only_for_a_crumb(
    additive: Counter, blocks: list[extraction.Block], header: str, max_tokens: int
) -> None:
    one = section(blocks, header, additive)
    (chunks,) = chunk_sections([one], additive, max_tokens=max_tokens)
    room = max_tokens - additive.count(embedded_text(header, ""))
    floor = floor_of(max_tokens)
    sizes = [additive.count(one.text[block["start"] : block["end"]]) for block in one.blocks]
    for block, size, around in zip(
        one.blocks, sizes, zip([99, *sizes], [*sizes[1:], 99], strict=False), strict=False
    ):
        is_cut = any(block["start"] < chunk.start < block["end"] for chunk in chunks)
        is_long = block["end"] - block["start"] > CHARS_A_TOKEN * max_tokens
        if size <= room and is_cut and not is_long:
            # It, or one beside it, left a crumb behind or was one.
            assert size > room - floor or min(around) < floor or max(around) > room


WINDOW = 32  # of the worked examples; a crumb is what has less than 4 words


def blocks(*texts: str, kind: extraction.BlockKind = "paragraph") -> list[extraction.Block]:
    return [extraction.Block(kind, text) for text in texts]


def cut(given_blocks: Sequence[extraction.Block], header: str = "") -> list[tuple[str, str]]:
    """Header and text of each chunk, by words."""
    one = section(given_blocks, header)
    (chunks,) = chunk_sections([one], WordCounter(), max_tokens=WINDOW)
    return [(chunk.header, one.text[chunk.start : chunk.end]) for chunk in chunks]


def texts(*given_texts: str, kind: extraction.BlockKind = "paragraph") -> list[str]:
    return [text for _, text in cut(blocks(*given_texts, kind=kind))]


def words(n: int, word: str = "w") -> str:
    return " ".join([word] * n)


@pytest.mark.parametrize(
    ("given_texts", "expected"),
    [
        ([words(32)], [words(32)]),
        ([words(20), words(12)], [f"{words(20)}\n\n{words(12)}"]),  # blocks that fit are joined
        ([words(20), words(20)], [words(20), words(20)]),
        ([f"{words(20)}\n{words(5)}\n{words(9)}"], [f"{words(20)}\n{words(5)}", words(9)]),
        ([f"{words(17)}. {words(19)}."], [f"{words(17)}.", f"{words(19)}."]),  # at the sentence
        ([words(40)], [words(32), words(8)]),  # at the word
        (["head", words(40)], [f"head\n\n{words(31)}", words(9)]),  # a heading stays with its text
        (["?" * 40], ["?" * 32, "?" * 8]),  # between tokens
        (["\u6f22\u3002" * 18], ["\u6f22\u3002" * 16, "\u6f22\u3002" * 2]),
    ],
)  # fmt: skip
def test_cuts_are_as_coarse_as_possible(given_texts: list[str], expected: list[str]) -> None:
    assert texts(*given_texts) == expected


@pytest.mark.parametrize(
    ("given_texts", "expected"),
    [
        ([words(34)], [words(17), words(17)]),  # at the end
        (["head", words(32)], [f"head\n\n{words(15)}", words(17)]),  # at the beginning
        ([words(32), "a b", words(32, "v")], [words(17), f"{words(15)}\n\na b", words(32, "v")]),
        ([f"{words(9)}. {words(19)}.", words(3)], [f"{words(9)}.", f"{words(19)}.\n\n{words(3)}"]),
        ([words(3)], [words(3)]),  # all there is
    ],
)  # fmt: skip
def test_a_crumb_shares_with_its_neighbour(given_texts: list[str], expected: list[str]) -> None:
    assert texts(*given_texts) == expected


def test_code_is_cut_at_blank_lines_then_at_lines() -> None:
    one, other = "\n".join(["def a():"] + ["    b()"] * 5), "\n".join(["c()"] * 6)  # 20 and 18
    assert texts(f"{one}\n\n{other}", kind="code") == [one, other]
    assert texts("\n".join(["x = y;"] * 9), kind="code") == [
        "\n".join(["x = y;"] * 8), "x = y;",
    ]  # fmt: skip


def test_table_that_fits_stays_whole() -> None:
    rows = "\n".join(["pier | fare"] + ["a | 1"] * 9)
    found = cut([*blocks(words(20)), *blocks(rows, kind="table")], "Title")
    assert found == [("Title", words(20)), ("Title", rows)]


def table_of(first: str, n_rows: int) -> str:
    return "\n".join([first, *(f"p{n} | {n}" for n in range(n_rows))])  # 3 words a row


def test_cut_table_repeats_its_columns_and_counts_them() -> None:
    given_blocks = [*blocks("on fares"), *blocks(table_of("pier | fare", 20), kind="table")]
    found = cut(given_blocks, "Title")
    rows = [text.split("\n")[-1] for _, text in found]
    assert [header for header, _ in found] == ["Title", "Title\npier | fare", "Title\npier | fare"]
    assert rows == ["p7 | 7", "p16 | 16", "p19 | 19"]
    assert found[1][1].startswith("p8 | 8\n")
    assert all("fare" not in text for _, text in found[1:])


@pytest.mark.parametrize(
    ("first", "repeated"),
    [
        ("pier | fare", "pier | fare"),
        ("| pier | fare |\n|---|:-:|", "| pier | fare |"),  # Markdown
        ("Fares\npier | fare", "Fares\npier | fare"),  # a caption above
        ("a | 2", ""),  # values, no names
        ("pier | pier", ""),
        ("one | two | three | four | five | six", "one | two | three | four"),  # at most a quarter
        (" ".join("abcdefghi") + " | b", ""),
    ],
)
def test_what_is_repeated_of_a_table(first: str, repeated: str) -> None:
    found = cut(blocks(table_of(first, 20), kind="table"))
    assert [header for header, _ in found] == ["", *[repeated] * (len(found) - 1)]
    assert len(found) > 2


def test_row_too_long_is_cut_between_cells() -> None:
    row = " | ".join(words(9, sign) for sign in "abcd")
    found = cut(blocks(f"k | l | m | n\n{row}", kind="table"))
    assert found == [
        ("", f"k | l | m | n\n{words(9, 'a')} | {words(9, 'b')}"),
        ("k | l | m | n", f"| {words(9, 'c')} | {words(9, 'd')}"),
    ]


def test_text_behind_a_table_has_no_columns() -> None:
    given_blocks = [*blocks(table_of("pier | fare", 9), kind="table"), *blocks(words(30))]
    assert cut(given_blocks)[-1] == ("", words(30))


def test_one_word_of_ten_thousand_characters(counter: Counter) -> None:
    one = section(blocks(" ".join(["a" * 10_000, words(40), "\U0001f680" * 10_000])))
    (chunks,) = chunk_sections([one], counter, max_tokens=254)
    assert "".join(one.text[c.start : c.end] for c in chunks).split() == one.text.split() or (
        "".join("".join(one.text[c.start : c.end].split()) for c in chunks)
        == "".join(one.text.split())
    )
    for chunk in chunks:
        text = embedded_text(chunk.header, one.text[chunk.start : chunk.end])
        assert chunk.n_tokens == counter.count(text) <= 254
        assert chunk.end - chunk.start <= 254 * CHARS_A_TOKEN


def test_words_too_long_for_a_chunk_leave_what_is_beside_them_whole(minilm: Tokenizer) -> None:
    prose = "The ferry leaves the northern pier at seven in the morning. " * 12
    one = section(blocks(prose, "x" * 10_000, prose, "y" * 4000))
    (chunks,) = chunk_sections([one], minilm, max_tokens=254)
    pieces = [one.text[chunk.start : chunk.end] for chunk in chunks]
    assert [piece[0] for piece in pieces] == ["T", "x", "x", "y"]
    assert pieces[0].startswith(f"{prose.strip()}\n\nx")
    assert pieces[2].endswith(f"x\n\n{prose.strip()}")
    assert pieces[3] == "y" * 4000


def test_rows_with_long_words_stay_whole_below_their_header(minilm: Tokenizer) -> None:
    rows = [f"user{n} | admin | {chr(97 + n) * 372}" for n in range(20)]
    one = section(blocks("\n".join(["user | role | key", *rows]), kind="table"))
    (chunks,) = chunk_sections([one], minilm, max_tokens=254)
    assert [chunk.header for chunk in chunks] == ["", "user | role | key"]
    lines = [one.text[chunk.start : chunk.end].split("\n") for chunk in chunks]
    assert [line for some in lines for line in some] == ["user | role | key", *rows]


def test_no_chunk_is_blank(counter: Counter) -> None:
    lines = [" " * 900 + "a = 1", "b = 2" + " " * 600 + "# c", "", " " * 2000 + "d = 3"]
    one = section(blocks("\n".join(lines), kind="code"))
    (chunks,) = chunk_sections([one], counter, max_tokens=32)
    pieces = [one.text[chunk.start : chunk.end] for chunk in chunks]
    assert all(piece.strip() and len(piece) <= 32 * CHARS_A_TOKEN for piece in pieces)
    assert "".join("".join(pieces).split()) == "a=1b=2#cd=3"


def test_header_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least half of 10 tokens, got one that leaves 3"):
        next(chunk_sections([section(blocks("a"), words(7))], WordCounter(), max_tokens=10))


def test_no_sections_no_chunks() -> None:
    assert not list(chunk_sections([], WordCounter(), max_tokens=10))


def test_only_what_does_not_follow_is_counted_anew(minilm: Tokenizer) -> None:
    class Watched(WordCounter):
        counted: list[str]

        def counts(self, texts: Sequence[str]) -> list[int]:
            self.counted += texts
            return super().counts(texts)

    counter = Watched()
    counter.counted = []
    list(chunk_sections([section(blocks(words(90)), "T")], counter, max_tokens=WINDOW))
    assert counter.counted == []  # all cuts are at white space
    counter.is_additive = False
    list(chunk_sections([section(blocks(words(40)), "T")], counter, max_tokens=WINDOW))
    assert counter.counted == [f"T\n{words(31)}", f"T\n{words(9)}"]


def test_which_tokenizers_are_additive(minilm: Tokenizer, byte_level: Tokenizer) -> None:
    assert minilm.is_additive
    assert not byte_level.is_additive
