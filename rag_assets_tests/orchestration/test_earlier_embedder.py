"""The engine of the embedder that a published generation was made with, beside the profile's."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from rag_assets.cli import processes as commands
from rag_assets.lake import generations
from rag_assets.lake.generations import Generation
from rag_assets.lake.store import LakeStore
from rag_assets.models.clients import roles
from rag_assets.models.clients.roles import Models
from rag_assets.models.engines.state import EARLIER
from rag_assets.models.errors import ProfileError
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import Profile
from rag_assets.orchestration import instance, processes, refreshing, run_processes
from rag_assets.serving.client import AnswererError
from rag_assets.settings import Settings, load_settings
from rag_assets_tests.world import CountingEmbedder

BASE = 26100
NEW = load_profile("cpu-multilingual", port_base=BASE)
OLD = load_profile("cpu").spec("embedder")


def named(profile: Profile) -> dict[str, str]:
    spec = profile.spec("embedder")
    return {"model_id": spec.model_id, "revision": spec.revision}


OLD_ONE, NEW_ONE = named(load_profile("cpu")), named(NEW)
GONE = {"model_id": "somebody/gone", "revision": "1"}


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    monkeypatch.delenv("RAG_LAKE", raising=False)
    return load_settings()


def given(settings: Settings, *embedders: Mapping[str, str], live: int = -1) -> None:
    """Generations by these embedders, oldest first; one of them is live."""
    store = LakeStore(settings.lake_uri)
    for number, embedder in enumerate(embedders, start=1):
        models = {"embedder": dict(embedder)}
        made = Generation(f"g{number:06d}-x", "", 1, "", models, {}, {}, "r")
        store.put_record(f"{generations.FOLDER}/{made.id}", asdict(made))
    names = generations.generation_ids(store)
    if names:
        pointer = generations.Live(names[live], 1, "", "", names[-1])
        store.put_record(generations.LIVE, asdict(pointer))


@pytest.mark.parametrize(
    ("embedders", "live", "expected"),
    [
        ([], -1, None),
        ([NEW_ONE], -1, None),
        ([OLD_ONE], -1, OLD_ONE),  # the switch: nothing of the new one is published yet
        ([OLD_ONE, NEW_ONE], -1, OLD_ONE),  # it may be rolled back to
        ([GONE, OLD_ONE, NEW_ONE], -1, OLD_ONE),  # the newest of them
        ([GONE, OLD_ONE, NEW_ONE], 0, GONE),  # the live one comes first
    ],
)
def test_which_embedder_is_needed_beside_the_profiles(
    settings: Settings,
    embedders: list[Mapping[str, str]],
    live: int,
    expected: Mapping[str, str] | None,
) -> None:
    given(settings, *embedders, live=live)
    assert processes.earlier_embedder(LakeStore(settings.lake_uri), NEW) == expected


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Profile, object, Mapping[str, object]]]:
    """Engines that would be started."""
    calls: list[tuple[Profile, object, Mapping[str, object]]] = []

    def start(
        _settings: Settings, profile: Profile, _tell: object, *rest: object, **more: object
    ) -> None:
        calls.append((profile, rest, more))

    monkeypatch.setattr(processes, "start_engines", start)
    return calls


def test_it_is_started_on_the_port_behind_the_profiles_own(
    settings: Settings, started: list[tuple[Profile, object, Mapping[str, object]]]
) -> None:
    given(settings, OLD_ONE)
    said: list[str] = []
    processes.start_earlier_embedder(settings, NEW, said.append)
    ((profile, rest, more),) = started
    spec = profile.spec("embedder")
    assert (spec.model_id, spec.port) == (OLD.model_id, BASE + 3)
    assert spec.port not in {one.port for one in NEW.roles.values()}
    assert (rest, more) == ((["embedder"],), {"earlier": True})
    assert said == [
        f"a published generation was made with {OLD.model_id}, which is started as well"
    ]


def test_its_supervisor_has_a_folder_and_a_name_of_its_own(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(settings, OLD_ONE)
    spawned: list[tuple[str, list[str]]] = []
    waited: list[object] = []
    monkeypatch.setattr(processes, "has_vllm", lambda _: True)
    monkeypatch.setattr(processes, "pull_weights", lambda *_: None)
    monkeypatch.setattr(processes, "require_room", lambda *_: None)
    monkeypatch.setattr(processes, "wait_for_engines", lambda *given: waited.append(given[-1]))
    monkeypatch.setattr(
        processes, "spawn", lambda _, name, command: spawned.append((name, command))
    )
    processes.start_earlier_embedder(settings, NEW, lambda _: None)
    ((name, command),) = spawned
    options = dict(zip(command[3::2], command[4::2], strict=True))
    assert name == "earlier-engines"
    assert (Path(options["--profile"]).stem, options["--prefer"]) == ("cpu", "source")
    assert options["--state-dir"] == str(settings.state / EARLIER)
    assert (options["--roles"], options["--port-base"]) == ("embedder", str(BASE + 1))
    assert waited == [settings.state / EARLIER]


def test_one_that_no_profile_has_is_told_and_one_of_ones_own_needs_no_engine(
    settings: Settings, started: list[tuple[Profile, object, Mapping[str, object]]]
) -> None:
    given(settings, GONE)
    said: list[str] = []
    processes.start_earlier_embedder(settings, NEW, said.append)
    assert said[-1].startswith("it is not started: no profile has the embedder somebody/gone")
    given(settings, OLD_ONE)
    own = replace(settings, models={"embedder": "ours:embedder"})
    processes.start_earlier_embedder(own, NEW, said.append)
    assert not started


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_generation_that_waited_for_it_is_loaded_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, is_refused: bool
) -> None:
    monkeypatch.setattr(instance, "open_instance", nullcontext)
    monkeypatch.setattr(run_processes, "close_dead_runs", lambda _: [])
    done: list[str] = []

    def load(*_: object) -> None:
        done.append("loaded")
        if is_refused:
            raise AnswererError("it fails its canaries", 409)

    monkeypatch.setattr(processes, "up", lambda *_: done.append("up"))
    monkeypatch.setattr(refreshing, "hot_load", load)
    monkeypatch.setattr(processes, "start_earlier_embedder", lambda *_: None)
    commands.up()
    monkeypatch.setattr(processes, "start_earlier_embedder", lambda *_: "started")
    commands.up()
    assert done == ["up", "up", "loaded"]


def test_questions_go_to_the_embedder_of_the_generation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Path]] = []

    def connect(profile: Profile, state: Path, _cache: Path, **_more: object) -> CountingEmbedder:
        asked.append((profile.spec("embedder").model_id, state))
        return CountingEmbedder()

    monkeypatch.setattr(roles, "connect_embedder", connect)
    models = Models("cpu-multilingual", settings=settings)
    models.embedder_for(OLD_ONE)
    models.embedder_for({**NEW_ONE, "query_prefix": "query: "})
    models.embedder_for({})
    state = settings.state
    assert asked == [(OLD.model_id, state / EARLIER), (NEW_ONE["model_id"], state)]
    with pytest.raises(ProfileError, match=r"no profile has the embedder somebody/gone .* refresh"):
        models.embedder_for(GONE)
