from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_assets_tests.evaluations.lab import Bench
from rag_assets_tests.suites.bench import mixed_and_golden
from rag_assets_tests.suites.corpora import live_reader
from rag_assets_tests.suites.headline import ALONE, CONVENTIONAL, OURS, arms, headline


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with mixed_and_golden(tmp_path_factory.mktemp("headline")) as bench:
        yield bench


def test_every_arm_gets_every_question(public: Bench, tmp_path: Path) -> None:
    results = headline(public.lab(tmp_path, limit=2))
    for dataset, n in (("golden", 2), ("mixed", 6)):
        asked = {
            name: [r.case_id for r in results if (r.dataset, r.variant) == (dataset, name)]
            for name in (CONVENTIONAL, OURS, *ALONE)
        }
        assert all(ids == asked[OURS] for ids in asked.values())
        assert len(asked[OURS]) == n
    assert {r.suite for r in results} == {"headline"}


def test_an_arm_with_one_model_asks_no_other(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path)
    by_name = arms(lab, "golden", lab.store)
    ours = lab.answerer(live_reader(lab.store))
    assert (by_name[OURS].policy, by_name[OURS].route) == (ours.policy, ours.route)
    llm, slm = (by_name[name] for name in ALONE)
    assert llm.slm is llm.llm is by_name[OURS].llm
    assert slm.llm is slm.slm is by_name[OURS].slm
