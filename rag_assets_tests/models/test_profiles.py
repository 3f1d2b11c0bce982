import copy
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_assets.models import processor, profiles
from rag_assets.models.engines.command import engine_command
from rag_assets.models.errors import ProfileError
from rag_assets.models.profiles import (
    ROLES,
    HubSnapshot,
    Precision,
    WheelParts,
    active_profile,
    computed_in,
    in_format,
    load_profile,
    parse_profile,
    profile_names,
    servable,
)

GPU_FLAGS = {  # the article's deployment, word for word
    "llm": "--quantization awq_marlin --dtype float16 --gpu-memory-utilization 0.60 "
    "--max-model-len 4096 --max-num-seqs 6 --max-num-batched-tokens 8192 --kv-cache-dtype fp8 "
    "--enable-prefix-caching",
    "slm": "--dtype float16 --gpu-memory-utilization 0.30 --max-model-len 4096 --max-num-seqs 2 "
    "--max-num-batched-tokens 4096 --kv-cache-dtype fp8 --enable-prefix-caching",
    "embedder": "--gpu-memory-utilization 0.05 --max-model-len 512",
}
# vLLM's own parser, in a process of its own: importing it takes seconds and half a gigabyte.
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
for argv in json.loads(sys.argv[1]):
    parser.parse_args(argv)
print("parsed")
"""


INTEL = "processor: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu "
AMD = "processor: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu "


@pytest.fixture(autouse=True)
def _best_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor that can do all; which one the tests run on must not matter."""
    monkeypatch.setattr(profiles, "has_avx512", lambda: True)
    monkeypatch.setattr(profiles, "has_fast_bfloat16", lambda: True)


@pytest.fixture
def cpu_data() -> dict[str, Any]:
    folder = profiles.resources.files("rag_assets.models") / "profiles" / "cpu.yaml"
    return copy.deepcopy(yaml.safe_load(folder.read_text("utf-8")))


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_profile_loads_with_all_roles(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert set(profile.roles) == set(ROLES)
    assert len({spec.port for spec in profile.roles.values()}) == 3
    for role, spec in profile.roles.items():
        assert spec.role == role
        assert spec.licence
        assert spec.served_name.split("-")[0] in spec.model_id.lower()
        assert len(spec.revision) in (40, 64)
        assert (spec.dimension is not None) == (role == "embedder")
        assert spec.url.startswith("http://127.0.0.1:")


def test_gpu_flags_are_the_articles() -> None:
    roles = load_profile("gpu-32gb").roles
    assert {role: " ".join(spec.flags) for role, spec in roles.items()} == GPU_FLAGS
    assert {role: spec.served_name for role, spec in roles.items()} == {
        "llm": "qwen3-14b",
        "slm": "qwen2.5-3b",
        "embedder": "bge-emb",
    }
    assert all(isinstance(spec.source, HubSnapshot) for spec in roles.values())


def test_cpu_weights_are_pinned_by_digest() -> None:
    source = load_profile("cpu").spec("llm").source
    assert isinstance(source, WheelParts)
    assert len(source.parts) == 22
    assert [part.package[-2:] for part in source.parts[8:11]] == ["t9", "10", "11"]
    assert all(len(part.sha256) == 64 for part in source.parts)


def test_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ProfileError, match="no profile 'tpu'; choose one of cpu, gpu-32gb"):
        load_profile("tpu")


def test_environment_chooses_profile_and_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_PROFILE", raising=False)
    monkeypatch.delenv("RAG_ENGINE_PORT_BASE", raising=False)
    assert active_profile() == load_profile("cpu")
    monkeypatch.setenv("RAG_PROFILE", "gpu-32gb")
    monkeypatch.setenv("RAG_ENGINE_PORT_BASE", "9000")
    assert sorted(s.port for s in active_profile().roles.values()) == [9000, 9001, 9002]
    monkeypatch.setenv("RAG_ENGINE_PORT_BASE", "80")
    with pytest.raises(ProfileError, match="must be a port from 1024"):
        active_profile()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("lock",), "tpu", "profile cpu: lock: .* 'cpu' or 'gpu', got 'tpu'"),
        (("launch",), "thread", "launch: .* 'fork' or 'exec', got 'thread'"),
        (("roles",), [], "expected a profile with the entries environment and roles"),
        (("roles", "judge"), {}, r"roles.judge.*'slm', 'llm' or 'embedder', got 'judge'"),
        (("roles", "slm", "format"), "gguf", "slm.format: .*'bf16', 'w8a8', .* got 'gguf'"),
        (("roles", "slm", "format"), "as-is", "roles.slm: .*got as-is of wheel-parts"),
        (("roles", "embedder", "format"), "bf16", "got bf16 of wheel-folder"),
        (("roles", "slm", "flags"), ["--dtype", "bfloat16"], "roles.slm: .*set --max-model-len"),
        (("roles", "slm", "dimension"), 3, "and only it, states its dimension"),
        (("roles", "slm", "source", "kind"), "ftp", "slm.source: .*'ftp'.*'wheel-folder', 'hub'"),
        (("roles", "slm", "source", "size_bytes"), "big", "size_bytes: .*integer.*got 'big'"),
    ],
)
def test_bad_entries_are_named(
    cpu_data: dict[str, Any], path: tuple[str, ...], value: object, message: str
) -> None:
    place: Any = cpu_data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ProfileError, match=message):
        parse_profile(cpu_data)


@pytest.mark.parametrize(
    ("precision", "end"), [("bf16", "-bf16"), ("w8a8", "-int8"), ("w4a16", "-int4")]
)
def test_format_changes_the_weights_and_their_name_only(
    cpu_data: dict[str, Any], precision: Precision, end: str
) -> None:
    cpu = load_profile("cpu")
    other = in_format(cpu, precision)
    assert other.spec("embedder") == cpu.spec("embedder")
    for role in ("slm", "llm"):
        was, spec = cpu.spec(role), other.spec(role)
        assert spec.served_name == was.served_name.removesuffix("-int8") + end
        assert replace(spec, format=was.format, served_name=was.served_name) == was
        assert in_format(was, precision) == spec
    assert in_format(other, "w8a8") == cpu
    # the same is said in a profile's file
    cpu_data["roles"]["slm"] |= {"format": precision, "served_name": f"qwen2.5-coder-0.5b{end}"}
    assert parse_profile(cpu_data).spec("slm") == other.spec("slm")


def test_without_avx512_weights_are_served_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = load_profile("cpu")
    assert servable() == ("bf16", "w8a8", "w4a16")
    monkeypatch.setattr(profiles, "has_avx512", lambda: False)
    monkeypatch.setattr(profiles, "has_fast_bfloat16", lambda: False)
    cpu = load_profile("cpu")
    assert servable() == ("bf16", "w8a8")
    assert cpu.spec("slm").served_name == "qwen2.5-coder-0.5b-bf16"
    for role, spec in cpu.roles.items():
        was = usual.spec(role)
        assert spec.format == ("as-is" if role == "embedder" else "bf16")
        assert " ".join(spec.flags) == " ".join(was.flags).replace("bfloat16", "float32")
        assert (spec.model_id, spec.revision, spec.port) == (was.model_id, was.revision, was.port)


def test_where_bfloat16_is_slow_the_embedder_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = load_profile("cpu")
    monkeypatch.setattr(profiles, "has_fast_bfloat16", lambda: False)
    cpu = load_profile("cpu")
    changed = " ".join(cpu.spec("embedder").flags)
    assert changed == " ".join(usual.spec("embedder").flags).replace("bfloat16", "float32")
    assert "float32" in changed
    assert {**cpu.roles, "embedder": usual.spec("embedder")} == usual.roles


def test_a_number_format_that_is_left_to_vllm_cannot_be_exchanged() -> None:
    with pytest.raises(
        ProfileError, match=r"role embedder: flags must set --dtype, got --gpu-memory"
    ):
        computed_in(load_profile("gpu-32gb"), {"embedder": "float32"})


def test_a_gpu_profile_does_not_mind_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = load_profile("gpu-32gb")
    monkeypatch.setattr(profiles, "has_fast_bfloat16", lambda: False)
    monkeypatch.setattr(profiles, "has_avx512", lambda: False)
    assert load_profile("gpu-32gb") == usual


@pytest.mark.parametrize(
    ("cpu_info", "avx512", "fast_bfloat16"),
    [
        (f"{INTEL}avx2 avx512f avx512_bf16 amx_bf16\n\nprocessor: 1\n", True, True),
        (f"{INTEL}avx2 avx512f avx512_bf16\n\nprocessor: 1\n", True, False),
        (f"{INTEL}avx2\n", False, False),
        (f"{AMD}avx2 avx512f avx512_bf16\n", True, True),
        (f"{AMD}avx2 avx512f\n", True, False),
        (f"{AMD}avx2\n", False, False),
        ("processor: 0\nFeatures: neon\n", True, True),
        (None, True, True),
    ],
)
def test_processor_is_asked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cpu_info: str | None,
    avx512: bool,
    fast_bfloat16: bool,
) -> None:
    path = tmp_path / "cpuinfo"
    if cpu_info is not None:
        path.write_text(cpu_info)
    monkeypatch.setattr(processor, "CPU_INFO", path)
    assert processor.has_avx512.__wrapped__() is avx512
    assert processor.has_fast_bfloat16.__wrapped__() is fast_bfloat16


def test_a_name_that_says_no_format_gets_one() -> None:
    spec = replace(load_profile("cpu").spec("slm"), served_name="small")
    assert in_format(spec, "bf16").served_name == "small-bf16"
    assert in_format(spec, "w8a8") == spec


def test_weights_that_come_as_they_are_have_no_other_format() -> None:
    with pytest.raises(ProfileError, match=r"weights of embedder .* are served as they come"):
        in_format(load_profile("cpu").spec("embedder"), "bf16")
    gpu = load_profile("gpu-32gb")
    assert in_format(gpu, "bf16") == gpu


def test_missing_entry_is_named(cpu_data: dict[str, Any]) -> None:
    del cpu_data["roles"]["llm"]["served_name"]
    with pytest.raises(ProfileError, match=r"profile cpu: the entry roles.llm.served_name is"):
        parse_profile(cpu_data)


def test_numbers_need_no_quotes(cpu_data: dict[str, Any]) -> None:
    slm = cpu_data["roles"]["slm"]
    slm["flags"] = [int(flag) if flag.isdigit() else flag for flag in slm["flags"]]
    cpu_data["environment"]["KMP_TPAUSE"] = 0
    assert parse_profile(cpu_data).spec("slm") == load_profile("cpu").spec("slm")


def test_missing_role_is_named(cpu_data: dict[str, Any]) -> None:
    del cpu_data["roles"]["llm"]
    with pytest.raises(ProfileError, match="profile cpu has no role 'llm'; it has slm, embedder"):
        parse_profile(cpu_data).spec("llm")


def _parse_with_vllm(argvs: list[list[str]]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PARSE, json.dumps(argvs)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_vllm_itself_accepts_every_flag(tmp_path: Path) -> None:
    commands = [
        engine_command(spec, tmp_path)[3:]
        for name in profile_names()
        for spec in load_profile(name).roles.values()
    ]
    done = _parse_with_vllm(commands)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "parsed" in done.stdout


def test_vllm_refuses_a_flag_that_is_gone(tmp_path: Path) -> None:
    good = engine_command(load_profile("gpu-32gb").spec("embedder"), tmp_path)[3:]
    done = _parse_with_vllm([[*good, "--task", "embed"]])
    assert done.returncode != 0
    assert "--task" in done.stderr
