"""The filter says in SQL what the rules say in Python, for any rules and any uris."""

import unicodedata
from collections.abc import Sequence

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lancedb.table import Table

from rag_assets.access.views import Place, View
from rag_assets.lake.store import LakeStore, scan

PARTS = [
    "a",
    "b",
    "ab",
    "\u00fc",
    "u\u0308",
    "o'clock",
    "%",
    "_",
    "\\",
    '"',
    "--",
    ");",
    " ",
    "A",
    "\u6f22",
]
names = st.lists(st.sampled_from(PARTS), min_size=1, max_size=3).map("".join)
uris = st.builds(
    lambda source, path: f"{source}:{'/'.join(path)}",
    st.sampled_from(["s", "t", "st"]),
    st.lists(names, min_size=1, max_size=3),
)
groups = st.sampled_from("ghij")
readers = st.none() | st.frozensets(groups, max_size=2)


def beginnings(uri: str) -> list[str]:
    cuts = [at + 1 for at, char in enumerate(uri) if char in ":/"]
    return [uri[:cut] for cut in cuts]


@st.composite
def places(draw: st.DrawFn) -> tuple[list[Place], list[str]]:
    """Rules over some documents, in any order, and the documents."""
    documents = draw(st.lists(uris, min_size=1, max_size=12, unique=True))
    made = []
    for uri in draw(st.lists(st.sampled_from(documents), max_size=6)):
        if draw(st.booleans()):
            made.append(Place(uri, True, draw(readers)))
        else:
            made.append(Place(draw(st.sampled_from(beginnings(uri))), False, draw(readers)))
    return made, documents


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LakeStore:
    return LakeStore(str(tmp_path_factory.mktemp("lake")))


def found(store: LakeStore, documents: Sequence[str], where: str) -> set[str]:
    store.overwrite("uris", pa.table({"uri": documents}))
    table = store.table("uris")
    assert isinstance(table, Table)
    return set(scan(table, where=where)["uri"].to_pylist())


@given(places(), st.frozensets(groups, max_size=3))
def test_the_filter_is_the_rule(
    store: LakeStore, made: tuple[list[Place], list[str]], mine: frozenset[str]
) -> None:
    view = View(made[0], mine)
    assert found(store, made[1], view.where) == {uri for uri in made[1] if view.sees(uri)}


@given(places(), st.frozensets(groups, max_size=3))
def test_what_decides_is_the_first_place(
    made: tuple[list[Place], list[str]], mine: frozenset[str]
) -> None:
    for uri in made[1]:
        expected = False
        for place in made[0]:
            forms = {unicodedata.normalize(form, place.text) for form in ("NFC", "NFD")}
            forms.add(place.text)
            if any(uri == form if place.is_whole else uri.startswith(form) for form in forms):
                expected = place.groups is None or bool(place.groups & mine)
                break
        assert View(made[0], mine).sees(uri) == expected


def test_two_hundred_rules_are_one_filter(store: LakeStore) -> None:
    made = [
        Place(f"s:{n}/", False, frozenset("g") if n % 2 else frozenset("h")) for n in range(200)
    ]
    made.append(Place("s:", False, None))
    documents = [f"s:{n}/a" for n in range(200)] + ["s:a", "t:a"]
    view = View(made, frozenset("g"))
    assert found(store, documents, view.where) == {
        *(f"s:{n}/a" for n in range(1, 200, 2)), "s:a"
    }  # fmt: skip


def test_no_group_is_no_row(store: LakeStore) -> None:
    view = View([Place("s:", False, frozenset("g"))], frozenset())
    assert view.where == "false"
    assert found(store, ["s:a"], view.where) == set()
    assert view.salt != View([Place("s:", False, None)], frozenset()).salt
