"""Weights of a hub, on a server that speaks the few routes that a download takes."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import huggingface_hub.constants
import pytest

from rag_assets.models.errors import HubError, WeightsCorruptError, WeightsError
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import HubSnapshot, Profile, WheelFolder, as_published
from rag_assets.models.weights import hub as module
from rag_assets.models.weights import pulling as weights
from rag_assets_tests.models.weights.test_pulling import Index, sha, write_wheel
from rag_assets_tests.servers import http_server

COMMIT = "c" * 40
FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 4096}


class Hub:
    def __init__(self) -> None:
        self.files = dict(FILES)
        self.stated = dict(FILES)  # whose hashes it states
        self.cut = 0  # bytes after which a download of the tensors breaks off
        self.ranges: list[str] = []

    def listing(self) -> bytes:
        siblings = []
        for name, data in self.stated.items():
            blob = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
            one = {"rfilename": name, "size": len(data), "blobId": blob}
            if name.endswith(".safetensors"):
                sha256 = hashlib.sha256(data).hexdigest()
                one["lfs"] = {"sha256": sha256, "size": len(data), "pointerSize": 1}
            siblings.append(one)
        return json.dumps({"id": "team/model", "sha": COMMIT, "siblings": siblings}).encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined] # set by the fixture
        path = self.path.partition("?")[0]
        if path == f"/api/models/team/model/revision/{COMMIT}":
            self.answer(200, hub.listing())
            return
        name = path.removeprefix(f"/team/model/resolve/{COMMIT}/")
        if name not in hub.files:
            self.answer(404, b"{}")
            return
        data, start = hub.files[name], 0
        if given := self.headers.get("range"):
            hub.ranges.append(given)
            start = int(given.removeprefix("bytes=").split("-")[0])
        more = {"x-repo-commit": COMMIT, "etag": f'"{hashlib.sha256(data).hexdigest()}"'}
        if start:
            more["content-range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        if start and hub.cut:  # it is gone when it is asked again
            self.answer(403, b"{}")
            return
        cut = hub.cut if self.command == "GET" and name.endswith(".safetensors") else 0
        self.answer(206 if start else 200, data[start:], cut, **more)

    def answer(self, status: int, data: bytes, cut: int = 0, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[:cut] if cut else data)
        if cut:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()
    with http_server(Handler) as http:
        http.hub = hub  # type: ignore[attr-defined] # read by the handler
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{http.server_port}")
        yield hub


@pytest.fixture
def profile() -> Profile:
    spec = load_profile("cpu").spec("embedder")
    source = HubSnapshot(COMMIT, 2 << 20)
    there = replace(spec, model_id="team/model", source=source)
    return replace(load_profile("cpu"), roles={"embedder": there})


def quiet(_what: str, _share: float) -> None:
    return


def test_each_file_is_fetched_and_progress_told(hub: Hub, profile: Profile, tmp_path: Path) -> None:
    shares: list[float] = []
    weights.pull(profile, tmp_path, progress=lambda _what, share: shares.append(share))
    folder = weights.require_pulled(profile.spec("embedder"), tmp_path)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert list((tmp_path / "downloads").iterdir()) == []


def test_a_download_that_was_cut_off_goes_on(
    hub: Hub, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len(FILES["model.safetensors"])
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    hub.cut = size - 1000
    with pytest.raises(WeightsError, match="could not be fetched from the model hub"):
        weights.pull(profile, tmp_path, progress=quiet)
    hub.cut, hub.ranges = 0, []
    weights.pull(profile, tmp_path, progress=quiet)
    assert hub.ranges  # not from its beginning
    assert all(int(one.removeprefix("bytes=").split("-")[0]) > size // 2 for one in hub.ranges)
    folder = weights.require_pulled(profile.spec("embedder"), tmp_path)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_file_that_is_not_what_the_hub_says_is_refused(
    hub: Hub, profile: Profile, tmp_path: Path
) -> None:
    hub.files["model.safetensors"] = bytes(len(FILES["model.safetensors"]))
    with pytest.raises(WeightsCorruptError, match=r"model\.safetensors of team/model: expected"):
        weights.pull(profile, tmp_path, progress=quiet)
    assert not weights.is_pulled(profile.spec("embedder"), tmp_path)
    hub.files = dict(FILES)
    weights.pull(profile, tmp_path, progress=quiet)


def test_offline_the_hub_is_not_asked(
    hub: Hub, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match=r"(?i)offline.*HF_HUB_OFFLINE"):
        weights.pull(profile, tmp_path, progress=quiet)


def test_a_hub_that_is_away_is_a_sentence(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WeightsError, match="check the network"):
        weights.pull(profile, tmp_path, progress=quiet)


def test_only_the_files_that_the_profile_names_are_fetched(
    hub: Hub, profile: Profile, tmp_path: Path
) -> None:
    spec = profile.spec("embedder")
    some = HubSnapshot(COMMIT, 100, {"config.json": None})
    weights.pull(
        replace(profile, roles={"embedder": replace(spec, source=some)}), tmp_path, progress=quiet
    )
    folder = weights.model_dir(spec, tmp_path)
    assert {path.name for path in folder.iterdir()} == {"config.json", ".complete.json"}
    other = HubSnapshot(COMMIT, 100, {"gone.json": None})
    with pytest.raises(HubError, match=r"it has no gone\.json"):
        weights.pull(
            replace(profile, roles={"embedder": replace(spec, source=other)}),
            tmp_path / "other",
            progress=quiet,
        )


PACKED = {"config.json": b"{}", "model.safetensors": b"of the package"}
RECORDED = {"config.json": None, "model.safetensors": sha(FILES["model.safetensors"])}


@pytest.fixture
def index(tmp_path: Path) -> Index:
    """A package with other weights than the hub has."""
    folder = tmp_path / "index"
    folder.mkdir()
    members = {f"packed/{name}": data for name, data in PACKED.items()}
    write_wheel(folder, "packed", "1.0", members)
    return Index(folder)


@pytest.fixture
def both(profile: Profile) -> Profile:
    """A profile that prefers the hub's weights to those of a package."""
    files = {name: sha(data) for name, data in PACKED.items()}
    packed = replace(
        profile.spec("embedder"), source=WheelFolder("packed", "1.0", "packed", files, 100)
    )
    original = HubSnapshot(COMMIT, 2 << 20, RECORDED)
    return replace(profile, roles={"embedder": as_published(packed, original)})


def content(profile: Profile, cache: Path) -> bytes:
    folder = weights.require_pulled(profile.spec("embedder"), cache)
    return (folder / "model.safetensors").read_bytes()


def test_where_a_hub_is_reachable_the_original_is_taken(
    hub: Hub, both: Profile, index: Index, tmp_path: Path
) -> None:
    told: list[str] = []
    here = weights.pull(both, tmp_path, progress=quiet, tell=told.append, download=index)
    assert (index.asked, told) == ([], [])
    assert here.spec("embedder").revision == COMMIT
    assert content(here, tmp_path) == FILES["model.safetensors"]


@pytest.mark.parametrize("why", ["away", "offline", "no such commit"])
def test_where_it_is_not_the_package_is_taken_until_the_next_pull(
    hub: Hub,
    both: Profile,
    index: Index,
    tmp_path: Path,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    with monkeypatch.context() as without:
        if why == "away":
            without.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
        elif why == "offline":
            without.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        else:
            without.setattr(f"{__name__}.COMMIT", "d" * 40)  # that the server has
        here = weights.pull(both, tmp_path, progress=quiet, tell=told.append, download=index)
        again = weights.pull(both, tmp_path, progress=quiet, tell=told.append, download=index)
    assert here == again == weights.as_pulled(both, tmp_path)
    assert here.spec("embedder").revision == sha(PACKED["model.safetensors"])
    assert content(here, tmp_path) == PACKED["model.safetensors"]
    assert index.asked == ["packed==1.0"]  # once
    assert len(told) == 2
    assert "embedder: team/model at cccccccccccc could not be fetched" in told[0]
    assert "the weights of the profile's own source are taken instead" in told[0]
    # what is here is used, without another look at the hub
    assert weights.pull(here, tmp_path, progress=quiet, tell=told.append) == here
    assert len(told) == 2
    # the hub is there again: both lie side by side, and the original is used
    later = weights.pull(both, tmp_path, progress=quiet, tell=told.append, download=index)
    assert later == weights.as_pulled(both, tmp_path)
    assert later.spec("embedder").revision == COMMIT
    assert content(later, tmp_path) == FILES["model.safetensors"]
    assert content(here, tmp_path) == PACKED["model.safetensors"]
    assert len(told) == 2


def test_a_file_with_another_hash_is_no_reason_to_take_the_package(
    hub: Hub, both: Profile, index: Index, tmp_path: Path
) -> None:
    changed = bytes(len(FILES["model.safetensors"]))
    hub.files["model.safetensors"] = hub.stated["model.safetensors"] = changed
    expected = f"expected the hash {RECORDED['model.safetensors']}, got {sha(changed)}"
    with pytest.raises(WeightsCorruptError, match=expected):
        weights.pull(both, tmp_path, progress=quiet, download=index)
    assert index.asked == []
    assert not weights.is_pulled(both.spec("embedder"), tmp_path)
