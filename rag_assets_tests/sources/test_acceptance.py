"""A token accepts the deletion of one run, of the sources that it is for, within the hour."""

from datetime import UTC, datetime, timedelta

import pytest

from rag_assets.lake.store import LakeStore
from rag_assets.sources.acceptance import VALID_FOR, NotAcceptedError, offer, take
from rag_assets_tests.world import World

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(world: World) -> LakeStore:
    return world.store


def test_one_run_may_bring_it_again_and_no_other(store: LakeStore) -> None:
    token = offer(store, ["docs", "mail"])
    take(store, token, ["docs", "docs"], "run-1")
    take(store, token, ["docs"], "run-1")  # Dagster began the run again
    with pytest.raises(NotAcceptedError, match=r"was used by run run-1; .*rag sources accept docs"):
        take(store, token, ["docs"], "run-2")


def test_it_is_for_its_sources_and_runs_out(store: LakeStore) -> None:
    token = offer(store, ["docs"], NOW)
    for given, sources, at, why in [
        (token, ["docs", "mail"], NOW, "is for docs"),
        (token, ["docs"], NOW + VALID_FOR + timedelta(seconds=1), "has run out"),
        ("true", ["docs"], NOW, "is unknown"),
        ("", ["docs"], NOW, "is unknown"),
        ("../live", ["docs"], NOW, "is unknown"),
    ]:
        with pytest.raises(NotAcceptedError, match=why):
            take(store, given, sources, "run", at)
    take(store, token, ["docs"], "run", NOW + VALID_FOR)


def test_the_lake_does_not_hold_the_token_nor_old_ones(store: LakeStore) -> None:
    token = offer(store, ["docs"], NOW)
    (name,) = store.records("accepted")
    assert token not in name + str(store.get_record(f"accepted/{name}"))
    offer(store, ["docs"], NOW + VALID_FOR + timedelta(seconds=1))
    assert name not in store.records("accepted")
