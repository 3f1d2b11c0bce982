"""Fixtures for the whole suite."""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from dagster._core.storage.defs_state.base import set_defs_state_storage
from hypothesis import HealthCheck, settings

from rag_assets.models.clients.openai_http import (
    HttpChatModel,
    HttpEmbedder,
    connect,
    connect_embedder,
)
from rag_assets.models.engines.engine_set import EngineSet
from rag_assets.models.engines.state import running_engines
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import ROLES, Profile
from rag_assets.models.protocols import ChatRole
from rag_assets.models.weights.choosing import active_profile
from rag_assets.models.weights.pulling import cache_root, pull
from rag_assets_tests.servers import postgres_server

TEST_PORT_BASE = 8561
# Of a busy machine a slow example says nothing. So no example has a time limit, in no test.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
os.environ.pop("COLUMNS", None)  # xdist sets it, and rich would hold every test's output to it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that take long first, so that at the end no core waits for another's long module.

    After those marked ``long`` come the modules with the most tests. Engine tests are last: the
    engines take 16 GB, and other tests start clusters of their own.
    """
    n_tests = Counter(item.path for item in items)

    def rank(item: pytest.Item) -> tuple[bool, bool, int]:
        if item.get_closest_marker("engines"):
            return True, False, 0
        return False, not item.get_closest_marker("long"), -n_tests[item.path]

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def _sigint_is_heard() -> None:
    """As ``rag`` does: in the background SIGINT is ignored, and Dagster copies that to SIGTERM."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """A run that is cut off leaves its instance's storage behind, and Dagster asks the dead one."""
    with set_defs_state_storage(None):
        yield


@dataclass(frozen=True, slots=True)
class Engines:
    """Real engines and how to talk to them."""

    profile: Profile
    state_dir: Path
    cache_dir: Path

    def chat(self, role: ChatRole) -> HttpChatModel:
        return connect(self.profile, self.state_dir, self.cache_dir, role)

    def embedder(self) -> HttpEmbedder:
        return connect_embedder(self.profile, self.state_dir, self.cache_dir)


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """All three real engines, once a session; those of RAG_TEST_STATE_DIR are used if they run."""
    profile, cache_dir = active_profile(), cache_root()
    given = os.environ.get("RAG_TEST_STATE_DIR")
    if given and set(running_engines(Path(given))) == set(ROLES):
        yield Engines(profile, Path(given), cache_dir)
        return
    # not the default ports: engines of a developer's own stack may be running there
    profile = load_profile(profile.name, port_base=TEST_PORT_BASE)
    profile = pull(profile, cache_dir, progress=lambda _what, _share: None)
    state_dir = Path(given) if given else tmp_path_factory.mktemp("engines")
    with EngineSet(profile, cache_dir, state_dir) as owned:
        owned.start()
        yield Engines(profile, state_dir, cache_dir)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url
