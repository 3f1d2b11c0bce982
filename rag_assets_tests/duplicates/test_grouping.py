from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag_assets.duplicates import grouping
from rag_assets.duplicates.facts import agree, keys_of
from rag_assets.duplicates.stage import collapse_duplicates
from rag_assets.lake.store import LakeStore
from rag_assets_tests.duplicates.shelf import aliases, expected, printed, put, related, text

LONG = " ".join(f"page{n}" for n in range(3000))
PART = " ".join(f"page{n}" for n in range(1000, 1400))
TEXTS = [
    text(),
    printed(text()),
    printed(text(), 4).upper(),
    text(changed=1),
    text(changed=36),
    "short",
    "",
    "日本語の文書。",
]


def group(store: LakeStore, texts: dict[str, str], **more: list[str]) -> dict[str, tuple[str, str]]:
    put(store, texts, **more)  # type: ignore[arg-type]
    collapse_duplicates(store)
    return aliases(store)


def test_exact_copies_stand_under_the_plainest_uri(store: LakeStore) -> None:
    texts = dict.fromkeys(["s:a.md", "s:archive/a.md", "s:copy-of-a.md"], text()) | {"s:b": "else"}
    assert group(store, texts) == {
        "s:archive/a.md": ("s:a.md", "exact"),
        "s:copy-of-a.md": ("s:a.md", "exact"),
    }


def test_the_ending_does_not_tell_which_is_the_original(store: LakeStore) -> None:
    texts = dict.fromkeys(["s:book.pdf", "s:book.html", "s:book2.md", "s:v1.2/x"], text())
    assert {canonical for canonical, _ in group(store, texts).values()} == {"s:book.html"}


def test_near_copy_has_its_true_similarity(store: LakeStore) -> None:
    put(store, {"s:a": text(), "s:bb": printed(text())})
    collapse_duplicates(store)
    (alias,) = store.rows("duplicates")
    # 198 shingles; the copy has four words more
    assert (alias["uri"], alias["kind"]) == ("s:bb", "near")
    assert alias["similarity"] == pytest.approx(198 / 202, abs=1e-6)


def test_one_word_changed_is_a_sibling(store: LakeStore) -> None:
    assert group(store, {"s:a": text(), "s:bb": text(changed=1, first=50)}) == {}
    assert related(store) == {("s:bb", "s:a"): "sibling"}
    (pair,) = store.rows("related_documents")
    assert pair["similarity"] == pytest.approx(195 / 201)


def test_half_changed_is_no_duplicate(store: LakeStore) -> None:
    assert group(store, {"s:a": text(), "s:bb": text(changed=100)}) == {}


def test_a_head_that_the_canonical_lacks_joins_no_two_that_differ_in_it(store: LakeStore) -> None:
    def headed(head: str) -> str:
        words = text().split(" ")
        thirds = [" ".join(words[at : at + 70]) for at in (0, 70, 140)]
        return "\n".join(f"{head}\n{third}\nPage {n}" for n, third in enumerate(thirds, start=1))

    texts = {"s:a": text(), "s:bb": headed("mv alder"), "s:ccc": headed("mv birch")}
    texts["s:dddd"] = headed("MV Alder")
    assert group(store, texts) == {"s:bb": ("s:a", "near"), "s:dddd": ("s:a", "near")}
    assert related(store) == {("s:a", "s:ccc"): "sibling"}


def test_exact_copy_of_a_near_copy_is_near(store: LakeStore) -> None:
    near = printed(text())
    found = group(store, {"s:a": text(), "s:bb": near, "s:deep/bb": near})
    assert found == {"s:bb": ("s:a", "near"), "s:deep/bb": ("s:a", "near")}


def test_flagged_documents_stand_for_no_unflagged_one(store: LakeStore) -> None:
    texts = {"s:a": text(), "s:much/deeper": printed(text()), "s:much/deeper/still": text()}
    assert group(store, texts, flagged=["s:a"]) == {
        "s:a": ("s:much/deeper", "near"),
        "s:much/deeper/still": ("s:much/deeper", "near"),
    }
    assert set(group(store, texts, flagged=list(texts)).values()) == {
        ("s:a", "near"),
        ("s:a", "exact"),
    }


def test_a_page_of_a_book_is_related_and_stands(store: LakeStore) -> None:
    assert group(store, {"s:book.pdf": LONG, "s:page.html": PART, "s:else": text()}) == {}
    assert related(store) == {("s:page.html", "s:book.pdf"): "contained"}
    (row,) = store.rows("related_documents")
    assert row["containment"] == 1.0
    assert row["similarity"] == pytest.approx(398 / 2998)


def test_a_form_filled_in_a_hundred_times_costs_no_square(
    store: LakeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "MOST_SIMILAR", 4)
    # 0.75 alike, each with each; three of them once more, as a print
    forms = {f"s:{n:03}": text(changed=27, first=90, mark=f"of{n}x") for n in range(100)}
    copies = {f"s:copies/{n}": printed(forms[f"s:{n:03}"]) for n in (5, 50, 95)}
    put(store, forms | copies)
    report = collapse_duplicates(store)
    assert aliases(store) == {f"s:copies/{n}": (f"s:{n:03}", "near") for n in (5, 50, 95)}
    assert report.n_verified <= 100 * 4 + 3
    assert 0 < report.by_relation["similar"] <= 100 * 4
    put(store, forms)
    collapse_duplicates(store)
    put(store, forms | copies)
    again = collapse_duplicates(store)
    assert (again.data_version, again.by_relation) == (report.data_version, report.by_relation)


def test_aliases_are_related_to_nobody(store: LakeStore) -> None:
    group(store, {"s:book.pdf": LONG, "s:page.html": PART, "s:deep/page.html": PART})
    assert related(store) == {("s:page.html", "s:book.pdf"): "contained"}


def test_boilerplate_relates_nobody(store: LakeStore) -> None:
    # 80 pages that share 300 words and have 300 of their own: Jaccard 1/3, containment 1/2
    shared = " ".join(f"menu{n}" for n in range(300))
    pages = {
        f"s:{page}": shared + " " + " ".join(f"own{page}of{n}" for n in range(300))
        for page in range(80)
    }
    put(store, pages)
    assert group(store, pages) == {}
    assert related(store) == {}


@pytest.mark.parametrize("texts", [{}, {"s:a": ""}, {"s:a": "", "s:b": "one two"}])
def test_nothing_to_group(store: LakeStore, texts: dict[str, str]) -> None:
    assert group(store, texts) == {}


uris = st.sampled_from([f"s:{'d/' * (n % 3)}{n}" for n in range(8)])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(uris, st.sampled_from(TEXTS), max_size=7), st.data())
def test_as_if_everything_were_compared_whatever_the_order(
    tmp_path: Path, texts: dict[str, str], data: st.DataObject
) -> None:
    store = LakeStore(str(tmp_path / "lake"))
    found = group(store, texts)
    assert found == expected(texts)
    assert found.keys().isdisjoint(canonical for canonical, _ in found.values())
    for alias, (canonical, _) in found.items():
        assert agree(keys_of(texts[alias]), keys_of(texts[canonical]))
    was_related = related(store)
    assert found.keys().isdisjoint(uri for pair in was_related for uri in pair)
    shuffled = {uri: texts[uri] for uri in data.draw(st.permutations(sorted(texts)))}
    assert group(store, shuffled) == found
    assert related(store) == was_related
