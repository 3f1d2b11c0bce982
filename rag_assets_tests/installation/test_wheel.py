"""The wheel, installed into an empty environment, works in an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from rag_assets.installation.engines import LOCKS
from rag_assets.models.engines.state import read_states
from rag_assets.models.profiles import ROLES
from rag_assets.settings import CHECKOUT
from rag_assets_tests.conftest import Engines
from rag_assets_tests.embedding_server import embedding_server
from rag_assets_tests.installation.test_without_engines import DEFINITIONS, READERS
from rag_assets_tests.models.engines.test_engine_set import free_port_base

BEGIN = "import sys; from pathlib import Path\n"
ENGINE_ELSEWHERE = """
from tokenizers import Tokenizer as Rust, models, pre_tokenizers
from rag_assets.models.clients.openai_http import HttpEmbedder
from rag_assets.models.clients.tokens import Tokenizer
from rag_assets.models.profile_files import load_profile
rust = Rust(models.WordLevel({"[UNK]": 0, "bread": 1}, unk_token="[UNK]"))
rust.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
spec = load_profile("cpu").spec("embedder")
print(HttpEmbedder(spec, Tokenizer(rust, {}), sys.argv[1]).embed(["bread"]).shape)
"""
BUILD = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment with the wheel in it."""

    python: Path

    def run(
        self, folder: Path, *arguments: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment in a folder, told nothing of the checkout."""
        unset = ("RAG_", "DAGSTER_", "PYTHONPATH", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(unset)}
        if cache := os.environ.get("RAG_CACHE"):
            kept["RAG_CACHE"] = cache
        return subprocess.run(
            [str(self.python.parent / arguments[0]), *arguments[1:]],
            cwd=folder, capture_output=True, text=True, check=False,
            env={**kept, "COLUMNS": "200", **(env or {})},
        )  # fmt: skip


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "rag_assets", source / "rag_assets", ignore=ignored)
    subprocess.run(
        [sys.executable, "-c", BUILD, str(source)], cwd=source, check=True, capture_output=True
    )
    (built,) = source.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel's own files; its dependencies are those of this environment, by path."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python)]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", str(wheel)], check=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(python)


def test_a_home_is_made_and_found_anywhere(installed: Installed, tmp_path: Path) -> None:
    without = installed.run(tmp_path, "rag", "generations")
    assert (without.returncode, "rag init" in without.stderr) == (1, True)
    made = installed.run(tmp_path, "rag", "init")
    assert made.returncode == 0, made.stderr
    assert "rag engines install" in made.stdout
    where = installed.run(
        tmp_path, "python", "-c",
        "import rag_assets.settings as s; print(s.__file__); print(s.load_settings().home)",
    )  # fmt: skip
    module, home = where.stdout.split()
    assert Path(module).is_relative_to(installed.python.parent.parent)
    assert Path(home) == tmp_path
    found = installed.run(tmp_path, "rag", "doctor", "--json", env={"RAG_CACHE": str(tmp_path)})
    findings = {finding["what"]: finding for finding in json.loads(found.stdout)}
    assert findings["sources"]["found"] == "none declared"
    assert findings["vllm"]["remedy"] in ("", "run `rag engines install`")


def test_dagster_loads_the_definitions_in_a_new_home(installed: Installed, tmp_path: Path) -> None:
    assert installed.run(tmp_path, "rag", "init").returncode == 0
    command = ["python", "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"]
    done = installed.run(tmp_path, *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_locks_are_in_the_wheel(installed: Installed, tmp_path: Path) -> None:
    code = "from rag_assets.installation.engines import LOCKS; print(*LOCKS.values())"
    paths = installed.run(tmp_path, "python", "-c", code).stdout.split()
    assert [Path(path).name for path in paths] == ["cpu.lock", "gpu.lock"]
    assert all(Path(path).is_file() for path in paths)


def test_the_page_is_in_the_wheel(installed: Installed, tmp_path: Path) -> None:
    code = "from rag_assets.serving.page import page_file; print(len(page_file('/').body))"
    shown = installed.run(tmp_path, "python", "-c", code)
    assert int(shown.stdout) > 1000, shown.stderr


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_newer_pythons_do_all_but_run_engines(version: str, wheel: Path, tmp_path: Path) -> None:
    """The versions of the lock, less vLLM, out of the package index."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv is not installed")
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    found = str(pyenv[-1]) if pyenv else shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"there is no Python {version} on this machine")
    newer = Installed(tmp_path / "environment" / "bin" / "python")
    make = [uv, "venv", "-q", "--python", found, str(tmp_path / "environment")]
    subprocess.run(make, check=True)
    put = [uv, "pip", "install", "-q", "--python", str(newer.python), "--no-verify-hashes"]
    subprocess.run([*put, "-c", str(LOCKS["cpu"]), str(wheel)], check=True)
    home = tmp_path / "home"
    home.mkdir()
    assert newer.run(home, "rag", "init").returncode == 0
    with embedding_server(tmp_path / "state"):
        url = read_states(tmp_path / "state")["embedder"].url
        for code, argument, said in (
            ("import torch", "", None),
            (DEFINITIONS, "", ""),
            (READERS, str(CHECKOUT / "data" / "sample" / "corpus"), "50"),
            (ENGINE_ELSEWHERE, url, "(1, 384)"),
        ):
            done = newer.run(home, "python", "-c", BEGIN + code, argument)
            assert (said is None) == (done.returncode != 0), done.stderr
            assert said is None or done.stdout.strip() == said


@pytest.mark.engines
def test_a_folder_is_refreshed_and_asked_in_a_new_home(
    installed: Installed, engines: Engines, tmp_path: Path
) -> None:
    """Its models are the engines of the tests, by endpoint."""
    ports = free_port_base()
    env = {
        "RAG_PROFILE": "served",
        "RAG_CACHE": str(engines.cache_dir),
        "RAG_ANSWERER_PORT": str(ports),
        "RAG_UI_PORT": str(ports + 1),
    }
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("The keeper of the lighthouse of Sule is Ada Holm.\n")
    assert installed.run(tmp_path, "rag", "init", "home").returncode == 0
    home = tmp_path / "home"
    (home / "profiles").mkdir()
    specs = [engines.profile.spec(role) for role in ROLES]
    roles = {one.role: {"base_url": f"{one.url}/v1", "model": one.served_name} for one in specs}
    profile = {
        "name": "served",
        "description": "Engines elsewhere.",
        "roles": {role: {"endpoint": endpoint} for role, endpoint in roles.items()},
    }
    (home / "profiles" / "served.yaml").write_text(json.dumps(profile))
    try:
        for command in (["refresh", "--path", "../docs"], ["up"]):
            done = installed.run(home, "rag", *command, env=env)
            assert done.returncode == 0, done.stdout + done.stderr
        asked = installed.run(home, "rag", "ask", "Who keeps the lighthouse?", "--json", env=env)
        assert asked.returncode == 0, asked.stdout + asked.stderr
        assert "answer_id" in json.loads(asked.stdout)
    finally:
        assert installed.run(home, "rag", "down", env=env).returncode == 0
