import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.duplicates.facts import agree, keys_of
from rag_assets.duplicates.stage import collapse_duplicates
from rag_assets.lake.store import LakeStore
from rag_assets_tests.duplicates.shelf import aliases, put, related
from rag_assets_tests.duplicates.templates import LAYOUTS, TEMPLATES, Template

VARIANTS = [(one, kind, said) for one in TEMPLATES for kind, said in one.variants()]


def same(one: str, other: str) -> bool:
    return agree(keys_of(one), keys_of(other))


def test_there_are_two_hundred_pairs_and_each_kind_of_fact() -> None:
    assert len({said for _, _, said in VARIANTS}) == len(VARIANTS) >= 200
    kinds = {kind for _, kind, _ in VARIANTS}
    assert kinds == {
        "number", "name", "date", "code", "unit", "negation", "version", "word", "sentence",
    }  # fmt: skip


def test_a_fact_tells_texts_apart_whatever_their_layout() -> None:
    collapsed = [
        (one.name, kind, layout)
        for one, kind, said in VARIANTS
        for layout, laid_out in LAYOUTS.items()
        if same(one.usual, laid_out(said))
    ]
    assert collapsed == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_tells_nothing_apart(layout: str) -> None:
    apart = [one.name for one in TEMPLATES if not same(one.usual, LAYOUTS[layout](one.usual))]
    assert apart == []


def test_none_of_a_template_collapses_in_the_stage(store: LakeStore) -> None:
    texts = {f"s:{one.name}/usual": one.usual for one in TEMPLATES}
    texts |= {f"s:{one.name}/{n}": said for n, (one, _, said) in enumerate(VARIANTS)}
    put(store, texts)
    collapse_duplicates(store)
    assert aliases(store) == {}
    assert "sibling" in set(related(store).values())  # they were candidates


@pytest.mark.parametrize("one", TEMPLATES, ids=lambda one: one.name)
def test_all_layouts_of_a_text_collapse_in_the_stage(store: LakeStore, one: Template) -> None:
    texts = {f"s:copies/{layout}": made(one.usual) for layout, made in LAYOUTS.items()}
    put(store, texts | {"s:usual": one.usual})
    collapse_duplicates(store)
    found = aliases(store)
    assert found.keys() == texts.keys()
    assert {canonical for canonical, _ in found.values()} == {"s:usual"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The fee is 10 000 crowns.", "The fee is 10000 crowns."),
        ("Decks 3 \u2013 5 are closed.", "Decks 3-5 are closed."),
        ("It holds 5 m\u00b2.", "It holds 5\u00a0m\u00b2."),
        ("The of\ufb01ce is open.", "The office is open."),
        ("A\n2\nB b\nC\nD\nE\n3\nF", "A\nB b\nC\nD\nE\nF"),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12 5 boats", "1 25 boats"),
        ("12 5 boats", "125 boats"),
        ("10\u2076 bytes", "106 bytes"),
        ("it was -5 degrees", "it was 5 degrees"),
        ("at most 2,480", "at most 2.480"),
        ("x < 5", "x > 5"),
        ("\u2611 paid", "\u2610 paid"),
        ("see page 3", "see page 4"),
        ("Total\n42", "Total\n43"),
        ("Lot 1\nLot 2", "Lot 2\nLot 3"),
        ("Printed copies: 500", "Printed copies: 600"),
        ("Berth P3\nfree", "Berth P4\nfree"),
        ("हिन्दी", "हन्दी"),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert not same(one, other)


def test_a_head_with_a_number_or_a_negation_may_not_be_missing() -> None:
    def headed(head: str) -> str:
        return "\n".join(
            f"{head}\nsome words of page {n} here\nPage {n}" for n in "abc"[:2] for _ in "1"
        )

    bare = headed("").strip()
    assert not same(bare, headed("Invoice 4711"))
    assert not same(headed("Invoice 4712"), headed("Invoice 4711"))
    assert not same(bare, headed("Draft, not approved"))


words = st.text(st.sampled_from("abcdeäßжあ"), min_size=1, max_size=6)
numbers = st.from_regex(r"-?[1-9]\d{0,3}([.,]\d{1,2})?", fullmatch=True)
texts = st.lists(st.one_of(words, numbers), min_size=4, max_size=30)


@given(texts, st.data())
def test_white_space_and_case_never_matter(said: list[str], data: st.DataObject) -> None:
    gaps = st.sampled_from([" ", "  ", "\t", " \n"])
    apart = [data.draw(gaps) for _ in said]
    laid_out = "".join(word + gap for word, gap in zip(said, apart, strict=True))
    assert same(" ".join(said), laid_out)
    assert same(" ".join(said), " ".join(said).upper())
    assert same(" ".join(said), ", ".join(said))


@given(texts, st.data())
def test_another_word_or_number_always_matters(said: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(said) - 1))
    is_number = re.search(r"\d", said[at])
    other = data.draw(
        (numbers if is_number else words).filter(lambda w: w.casefold() != said[at].casefold())
    )
    changed = [*said[:at], other, *said[at + 1 :]]
    joined = "".join(changed).casefold() == "".join(said).casefold()  # "a bc", "ab c"
    assert joined or not same(" ".join(said), " ".join(changed))
    without = " ".join(said[:at] + said[at + 1 :])
    assert not same(" ".join(said), without)
