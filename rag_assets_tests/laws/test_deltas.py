import pytest

from rag_assets_tests.laws.histories import live_through


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_history_incremental_equals_rebuilt_and_costs_what_changed(seed: int) -> None:
    """More histories: ``python -m rag_assets_tests.laws.histories --histories 100``."""
    assert live_through(seed, n_steps=3) > 3
