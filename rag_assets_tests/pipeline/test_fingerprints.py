"""What decides that rows are computed anew, pinned.

When one of these changes without a reason, an upgrade reads every file again, or embeds every text.
Where a change is meant, raise the stage's version and pin the new value here.
"""

from dataclasses import replace

import pytest

from rag_assets.documents.readers import ocr
from rag_assets.pipeline.stages import STAGES
from rag_assets.sources.declaration import Source
from rag_assets_tests.world import Facts

FACTS = Facts(
    tokenizer_id="words/1",
    max_tokens=256,
    embedder=("all-MiniLM-L6-v2", "rev1"),
    dimension=384,
    slm=("qwen", "rev2"),
)
STAGE = {stage.name: stage for stage in STAGES}


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("source_files", "source_files/2"),
        ("documents", "documents/7/2"),
        ("sections", "sections/3"),
        ("chunks", "3f5b867d2724d6792508708bd79c85be"),
        ("embeddings", "26d210b1d528580e42646b2e7fc58e1a"),
    ],
)
def test_fingerprints_are_pinned(
    name: str, fingerprint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ocr, "is_available", lambda: False)
    assert STAGE[name].fingerprint(FACTS) == fingerprint


def test_scans_are_read_again_where_ocr_was_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "is_available", lambda: True)
    assert STAGE["documents"].fingerprint(FACTS) == "documents/7/2/ocr"


@pytest.mark.parametrize(
    ("other", "changed"),
    [
        (replace(FACTS, tokenizer_id="words/2"), {"chunks"}),
        (replace(FACTS, max_tokens=128), {"chunks"}),
        (replace(FACTS, embedder=("other", "rev1")), {"embeddings", "enrichments"}),
        (replace(FACTS, embedder=("all-MiniLM-L6-v2", "rev2")), {"embeddings", "enrichments"}),
        (replace(FACTS, slm=("qwen", "rev3")), {"enrichments"}),
    ],
)
def test_a_model_changes_the_stages_that_it_touches(other: Facts, changed: set[str]) -> None:
    found = {stage.name for stage in STAGES if stage.fingerprint(FACTS) != stage.fingerprint(other)}
    assert found == changed


def test_labels_of_a_source_change_its_enrichments_alone() -> None:
    source = Source(name="docs", kind="folder", where="docs")
    types = {"guide": ("A guide.",), "log": ("A log.",)}
    other = replace(source, document_types=types)
    found = {
        stage.name
        for stage in STAGES
        if stage.fingerprint(FACTS, source) != stage.fingerprint(FACTS, other)
    }
    assert found == {"enrichments"}
    described = replace(source, enrich="full")
    enrichments = STAGE["enrichments"]
    assert enrichments.fingerprint(FACTS, described) != enrichments.fingerprint(FACTS, source)
    assert enrichments.fingerprint(FACTS, source) == enrichments.fingerprint(FACTS)
