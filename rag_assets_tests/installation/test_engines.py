"""Which commands install, in which order, and what is said when none works."""

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from rag_assets.installation import engines
from rag_assets.installation.engines import TORCH_INDEX, Environment, InstallError, install_engines

PYTHON = Path("/environment/bin/python")
UV = f"{PYTHON} -m uv pip install"
PIP = f"{PYTHON} -m pip --disable-pip-version-check --no-input install"


class Machine:
    """What `subprocess.run` would have done; commands that contain a word of `broken` fail."""

    def __init__(self, *broken: str) -> None:
        self.broken = broken
        self.ran: list[str] = []
        self.environments: list[dict[str, str]] = []

    def run(
        self, command: Sequence[str], env: dict[str, str] | None = None, **_: object
    ) -> subprocess.CompletedProcess[str]:
        line = " ".join(command)
        configured = "global.index-url='https://index.example'\n:env:.find-links='/wheels'\n"
        if line.endswith("config list"):
            return subprocess.CompletedProcess(command, 0, configured, "")
        self.ran.append(line)
        self.environments.append(env or {})
        failed = any(word in line for word in self.broken)
        return subprocess.CompletedProcess(command, int(failed), "", "no such thing")


def installed(
    monkeypatch: pytest.MonkeyPatch,
    machine: Machine,
    *,
    engine: str = "cpu",
    version: tuple[int, int] = (3, 11),
    is_virtual: bool = True,
    has_pip: bool = True,
    has_uv: bool = True,
) -> list[str]:
    target = Environment(PYTHON, version, is_virtual, has_pip, has_uv)
    monkeypatch.setattr(engines, "examined", lambda _python: target)
    monkeypatch.setattr(engines.subprocess, "run", machine.run)
    monkeypatch.setattr(engines.shutil, "which", lambda _name: None)
    for name in ("UV_DEFAULT_INDEX", "UV_FIND_LINKS", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    told: list[str] = []
    install_engines(PYTHON, engine, told.append)
    return told


def test_uv_installs_with_hashes_and_asks_where_pip_would(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    told = installed(monkeypatch, machine)
    torch, lock = machine.ran
    assert torch.startswith(UV)
    assert torch.endswith(f"--no-deps --require-hashes -r {engines.TORCH_LOCK}")
    assert lock.startswith(UV)
    assert f"--require-hashes -r {engines.LOCKS['cpu']}" in lock
    assert machine.environments[1]["UV_DEFAULT_INDEX"] == "https://index.example"
    assert machine.environments[1]["UV_FIND_LINKS"] == "/wheels"
    assert told[0] == engines.TORCH


def test_torch_is_looked_for_where_pytorch_keeps_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(f"-r {engines.TORCH_LOCK}")
    with pytest.raises(InstallError, match="no such thing"):
        installed(monkeypatch, machine)
    assert [line.endswith(TORCH_INDEX) for line in machine.ran] == [False, True, False, True]
    assert [line.startswith(UV) for line in machine.ran] == [True, True, False, False]


def test_every_pin_of_every_lock_has_a_hash() -> None:
    dev = Path(engines.__file__).parents[2] / "requirements-dev.lock"
    for lock in (*engines.LOCKS.values(), engines.TORCH_LOCK, dev):
        pins = re.findall(r"^[a-z0-9][^\n]*(?:\n    --hash[^\n]*)*", lock.read_text(), re.MULTILINE)
        assert pins
        assert all("--hash=sha256:" in pin for pin in pins), lock
    assert f"\n{engines.TORCH} " in engines.TORCH_LOCK.read_text()


def test_the_gpu_lock_brings_its_own_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    installed(monkeypatch, machine, engine="gpu")
    (only,) = machine.ran
    assert str(engines.LOCKS["gpu"]) in only


def test_uv_comes_out_of_the_lock_by_its_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    installed(monkeypatch, machine, has_uv=False)
    assert machine.ran[0].startswith(f"{PIP} --quiet --no-deps --require-hashes -r")
    assert all(line.startswith(UV) for line in machine.ran[1:])


def test_pip_does_it_where_uv_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine("uv.lock")
    installed(monkeypatch, machine, has_uv=False)
    _, *rest = machine.ran
    assert rest
    assert all(line.startswith(PIP) for line in rest)


def test_pip_does_it_where_uv_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine("-m uv")
    installed(monkeypatch, machine)
    assert machine.ran[-1].startswith(PIP)
    assert "--require-hashes" in machine.ran[-1]


def test_what_does_not_fit_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    with pytest.raises(InstallError, match=r"expected Python 3\.11.*got 3\.13"):
        installed(monkeypatch, machine, version=(3, 13))
    with pytest.raises(InstallError, match="--into FOLDER"):
        installed(monkeypatch, machine, is_virtual=False)
    with pytest.raises(InstallError, match="install either"):
        installed(monkeypatch, machine, has_pip=False, has_uv=False)
    assert machine.ran == []


def test_every_package_of_the_locks_has_a_hash() -> None:
    for lock in engines.LOCKS.values():
        entries = lock.read_text().split("\n    --hash=sha256:")
        assert sum(entry.count("==") for entry in entries[:-1]) == lock.read_text().count("==")
        assert "://" not in lock.read_text()


def test_an_environment_is_examined_as_it_is() -> None:
    found = engines.examined(Path(sys.executable))
    assert found.version == sys.version_info[:2]
    with pytest.raises(InstallError, match="expected a Python interpreter"):
        engines.examined(Path("/nowhere/python"))


def test_a_folder_with_something_else_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InstallError, match="name another"):
        engines.make_environment(tmp_path, Path(sys.executable))
