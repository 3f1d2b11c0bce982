import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.documents.signatures import bands, shingles
from rag_assets.duplicates.grouping import Alias, Fingerprinted, find_aliases
from rag_assets.lake.identity import text_hash

WORDS = [f"w{n}" for n in range(200)]


def text(*, changed: int = 0, first: int = 0) -> str:
    """200 words of which ``changed`` in a row, from ``first`` on, are others."""
    words = list(WORDS)
    words[first : first + changed] = [f"x{first + n}" for n in range(changed)]
    return " ".join(words)


def group(texts: dict[str, str], order: list[str] | None = None) -> list[Alias]:
    documents = [
        Fingerprinted(f"id-{uri}", uri, text_hash(texts[uri]), bands(shingles(texts[uri])))
        for uri in order or sorted(texts)
    ]

    def shingles_of(document_id: str) -> np.ndarray:
        return shingles(texts[document_id.removeprefix("id-")])

    return find_aliases(documents, shingles_of)


def pairs(aliases: list[Alias]) -> dict[str, tuple[str, str]]:
    return {alias.uri: (alias.canonical_uri, alias.kind) for alias in aliases}


def test_exact_copies_stand_under_the_plainest_uri() -> None:
    texts = dict.fromkeys(["s:a.md", "s:archive/a.md", "s:copy-of-a.md"], text()) | {"s:b": "else"}
    assert pairs(group(texts)) == {
        "s:archive/a.md": ("s:a.md", "exact"),
        "s:copy-of-a.md": ("s:a.md", "exact"),
    }


def test_near_copy_has_its_true_similarity() -> None:
    (alias,) = group({"s:a": text(), "s:bb": text(changed=10)})
    # 198 shingles each; 10 changed words in the beginning touch 10 of them
    assert (alias.uri, alias.kind) == ("s:bb", "near")
    assert alias.similarity == pytest.approx(188 / 208, abs=1e-6)


def test_half_changed_is_no_duplicate() -> None:
    assert group({"s:a": text(), "s:bb": text(changed=100)}) == []


def test_chains_pull_nobody_under_what_he_does_not_resemble() -> None:
    texts = {
        "s:a": text(),
        "s:bb": text(changed=18),
        "s:ccc": text(changed=36),  # like bb (0.83), not like a (0.69)
    }
    assert pairs(group(texts)) == {"s:bb": ("s:a", "near")}


def test_exact_copy_of_a_near_copy_is_near() -> None:
    near = text(changed=10)
    found = pairs(group({"s:a": text(), "s:bb": near, "s:deep/bb": near}))
    assert found == {"s:bb": ("s:a", "near"), "s:deep/bb": ("s:a", "near")}


def test_nothing_to_group() -> None:
    assert group({}) == []
    assert group({"s:a": ""}) == []


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([f"s:{'d/' * (n % 3)}{n}" for n in range(8)]),
        st.sampled_from([text(), text(changed=10), text(changed=20), text(changed=36), "short"]),
        max_size=6,
    ),
    st.data(),
)
def test_order_does_not_matter_and_canonicals_are_no_aliases(
    texts: dict[str, str], data: st.DataObject
) -> None:
    found = group(texts)
    assert group(texts, data.draw(st.permutations(sorted(texts)))) == found
    aliases = {alias.document_id for alias in found}
    assert len(aliases) == len(found)
    assert aliases.isdisjoint(alias.canonical_id for alias in found)
    assert all(alias.similarity >= 0.8 for alias in found)
