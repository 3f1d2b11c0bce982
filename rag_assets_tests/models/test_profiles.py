import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_assets.models import processor, profile_files, profiles
from rag_assets.models.engines.command import engine_command
from rag_assets.models.errors import ProfileError
from rag_assets.models.profile_files import (
    SHIPPED,
    ProfileFields,
    copied,
    find_profile,
    load_profile,
    profile_with_embedder,
    wanted_profile,
)
from rag_assets.models.profiles import (
    ROLES,
    HubSnapshot,
    Precision,
    Prefer,
    WheelParts,
    computed_in,
    in_format,
    servable,
)

GPU_FLAGS = {  # the article's deployment, word for word, and then our batches that yield
    "llm": "--quantization awq_marlin --dtype float16 --gpu-memory-utilization 0.60 "
    "--max-model-len 4096 --max-num-seqs 6 --max-num-batched-tokens 8192 --kv-cache-dtype fp8 "
    "--enable-prefix-caching --scheduling-policy priority",
    "slm": "--dtype float16 --gpu-memory-utilization 0.30 --max-model-len 4096 --max-num-seqs 2 "
    "--max-num-batched-tokens 4096 --kv-cache-dtype fp8 --enable-prefix-caching "
    "--scheduling-policy priority",
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
    _processor(monkeypatch, avx512=True, fast_bfloat16=True)


def _processor(monkeypatch: pytest.MonkeyPatch, *, avx512: bool, fast_bfloat16: bool) -> None:
    monkeypatch.setattr(profiles, "has_avx512", lambda: avx512)
    monkeypatch.setattr(profile_files, "has_avx512", lambda: avx512)
    monkeypatch.setattr(profile_files, "has_fast_bfloat16", lambda: fast_bfloat16)


@pytest.fixture
def cpu_data() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((SHIPPED / "cpu.yaml").read_text("utf-8"))
    return data


def written(home: Path, data: dict[str, Any], name: str = "mine") -> Path:
    """``data`` as a profile of a home; its path."""
    path = home / "profiles" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({**data, "name": name}, sort_keys=False))
    return path


@pytest.mark.parametrize("name", profile_files.profile_files())
def test_every_shipped_profile_serves_all_roles(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert all(profile.served_by(role).model_id for role in ROLES)
    assert len({spec.port for spec in profile.roles.values()}) == len(profile.roles)
    for role, spec in profile.roles.items():
        assert spec.role == role
        assert spec.licence
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
    with pytest.raises(ProfileError, match="no profile 'tpu'; expected a path, or one of cpu, cpu"):
        load_profile("tpu")


def test_environment_chooses_profile_and_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_PROFILE", raising=False)
    monkeypatch.delenv("RAG_ENGINE_PORT_BASE", raising=False)
    assert wanted_profile() == load_profile("cpu")
    monkeypatch.setenv("RAG_PROFILE", "gpu-32gb")
    monkeypatch.setenv("RAG_ENGINE_PORT_BASE", "9000")
    assert sorted(s.port for s in wanted_profile().roles.values()) == [9000, 9001, 9002]
    monkeypatch.setenv("RAG_ENGINE_PORT_BASE", "80")
    with pytest.raises(ProfileError, match="must be a port from 1024"):
        wanted_profile()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("lock",), "tpu", "line 4, lock: expected 'cpu' or 'gpu', got 'tpu'"),
        (("launch",), "thread", "launch: expected 'fork' or 'exec', got 'thread'"),
        (("roles", "slm", "format"), "gguf", "roles.slm.format: expected 'bf16', .* got 'gguf'"),
        (("roles", "slm", "format"), "as-is", "roles.slm: .* got as-is of wheel-parts"),
        (("roles", "embedder", "format"), "bf16", "got bf16 of wheel-folder"),
        (("roles", "slm", "max_model_len"), "long", "max_model_len: expected a valid integer"),
        (("roles", "slm", "max_model_len"), None, "expected model_id and max_model_len"),
        (("roles", "slm", "max_num_seqs"), 0, "max_num_seqs: expected greater than 0, got 0"),
        (("roles", "slm", "gpu_memory_utilization"), 90, "less than or equal to 1, got 90"),
        (("roles", "slm", "dimension"), 3, "and only it, states its dimension"),
        (("roles", "slm", "temprature"), 3, r"temprature: there is no such field .* 3"),
        (("roles", "slm", "source", "kind"), "ftp", "roles.slm.source: .*wheel-parts"),
        (("roles", "slm", "source", "size_bytes"), "big", "size_bytes: expected a valid integer"),
        (("roles", "slm", "endpoint"), {"base_url": "ftp://x", "model": "m"}, "base_url: "),
        (("roles", "slm", "same_as"), "llm", "exactly one of source .*, endpoint and same_as"),
        (("roles", "vlm"), {"same_as": "llm"}, "roles.vlm"),
    ],
)
def test_bad_entries_are_named(
    tmp_path: Path,
    cpu_data: dict[str, Any],
    path: tuple[str, ...],
    value: object,
    message: str,
) -> None:
    place: Any = cpu_data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = written(tmp_path, cpu_data)
    with pytest.raises(ProfileError, match=rf"{file}, line \d+, .*{message}|{message}") as caught:
        load_profile("mine", home=tmp_path)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://rag:geheim@x/v1", "ftp://geheim@x", "https://x/v1?key=geheim"]
)
def test_an_address_holds_no_secret(tmp_path: Path, cpu_data: dict[str, Any], url: str) -> None:
    cpu_data["roles"]["slm"] = {"endpoint": {"base_url": url, "model": "m"}}
    written(tmp_path, cpu_data)
    with pytest.raises(ProfileError, match=r"without user, password and query.* api_key_env") as of:
        load_profile("mine", home=tmp_path)
    assert "geheim" not in str(of.value)


@pytest.mark.parametrize(
    ("precision", "end"), [("bf16", "-bf16"), ("w8a8", "-int8"), ("w4a16", "-int4")]
)
def test_format_changes_the_weights_and_their_name_only(
    tmp_path: Path, cpu_data: dict[str, Any], precision: Precision, end: str
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
    written(tmp_path, cpu_data)
    assert load_profile("mine", home=tmp_path).spec("slm") == other.spec("slm")


def test_without_avx512_weights_are_served_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = load_profile("cpu")
    assert servable() == ("bf16", "w8a8", "w4a16")
    _processor(monkeypatch, avx512=False, fast_bfloat16=False)
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
    _processor(monkeypatch, avx512=True, fast_bfloat16=False)
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


@pytest.mark.parametrize(
    "llm", ["{same_as: slm}", '{endpoint: {base_url: "http://127.0.0.1:1/v1", model: large}}']
)
def test_a_role_without_an_engine_does_not_mind_the_processor(
    llm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _processor(monkeypatch, avx512=False, fast_bfloat16=False)
    file = tmp_path / "mine.yaml"
    file.write_text(f"name: mine\ndescription: x\nextends: cpu\nroles:\n  llm: {llm}\n")
    profile = load_profile(str(file))
    assert set(profile.roles) == {"slm", "embedder"}
    assert profile.spec("slm").flag("--dtype") == "float32"


def test_a_gpu_profile_does_not_mind_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = load_profile("gpu-32gb")
    _processor(monkeypatch, avx512=False, fast_bfloat16=False)
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


def test_missing_role_is_named(tmp_path: Path, cpu_data: dict[str, Any]) -> None:
    del cpu_data["roles"]["llm"]
    written(tmp_path, cpu_data)
    with pytest.raises(ProfileError, match=r"expected the roles slm, llm, embedder; .*llm"):
        load_profile("mine", home=tmp_path)


def test_a_profile_of_ten_lines_extends_another(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "mine.yaml").write_text(
        """
name: mine
extends: cpu
description: our gateway for synthesis
answering: {max_question_tokens: 500, llm: {thinking: 200}}
roles:
  llm:
    endpoint: {base_url: "https://models.example/v1", model: large, api_key_env: OUR_KEY}
"""
    )
    mine, cpu = load_profile("mine", home=tmp_path), load_profile("cpu")
    assert mine.endpoints["llm"].model == "large"
    assert mine.roles == {role: cpu.spec(role) for role in ("slm", "embedder")}
    assert mine.answering["max_question_tokens"] == 500
    assert mine.answering["llm"] == {**cpu.answering["llm"], "thinking": 200}
    assert mine.answering["slm"] == cpu.answering["slm"]
    with pytest.raises(ProfileError, match="no engine for 'llm'; it has slm, embedder"):
        mine.spec("llm")


def test_originals_are_preferred_where_the_profile_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _processor(monkeypatch, avx512=False, fast_bfloat16=False)
    mine = {"extends": "cpu", "description": "", "prefer": "original"}
    written(tmp_path, mine)
    profile, cpu = load_profile("mine", home=tmp_path), load_profile("cpu")
    assert profile.spec("embedder") == cpu.spec("embedder")  # it names no original
    for role in ("slm", "llm"):
        spec, shipped = profile.spec(role), cpu.spec(role)
        assert isinstance(spec.source, HubSnapshot)
        assert spec.served_name == shipped.served_name.removesuffix("-bf16")
        assert (spec.format, spec.flags) == ("as-is", shipped.flags)
        assert spec.fallback == shipped
    as_shipped = load_profile("mine", home=tmp_path, prefer="source")
    assert as_shipped.roles == cpu.roles
    assert load_profile("cpu", prefer="original").roles == profile.roles


@pytest.mark.parametrize("role", ["slm", "embedder"])
def test_an_original_stands_beside_a_source(
    tmp_path: Path, cpu_data: dict[str, Any], role: str
) -> None:
    original = cpu_data["roles"]["llm"]["original"]
    served = {"endpoint": {"base_url": "http://127.0.0.1:1/v1", "model": "m"}}
    cpu_data["roles"][role] = {**served, "original": original}
    written(tmp_path, cpu_data)
    with pytest.raises(ProfileError, match="expected source beside original"):
        load_profile("mine", home=tmp_path)


@pytest.mark.parametrize("prefer", ["source", "original"])
def test_the_embedder_of_a_generation_is_found_whatever_the_profile_prefers_now(
    tmp_path: Path, cpu_data: dict[str, Any], prefer: Prefer
) -> None:
    cpu_data["roles"]["embedder"]["model_id"] = "team/embedder"
    cpu_data["roles"]["embedder"]["original"] = cpu_data["roles"]["llm"]["original"]
    written(tmp_path, cpu_data)
    made_by = load_profile("mine", home=tmp_path, prefer=prefer).spec("embedder")
    made_with = {"model_id": made_by.model_id, "revision": made_by.revision}
    found = profile_with_embedder(made_with, 9000, tmp_path)
    assert found.prefer == prefer
    assert found.spec("embedder") == replace(made_by, port=9003, fallback=None)


def test_profiles_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        written(tmp_path, {"extends": other, "description": ""}, name)
    with pytest.raises(ProfileError, match="extend each other: one -> two -> one"):
        load_profile("one", home=tmp_path)


def test_one_model_may_serve_both_roles() -> None:
    profile = load_profile("cpu-one-model")
    assert set(profile.roles) == {"llm", "embedder"}
    assert profile.spec("slm") == profile.spec("llm") == load_profile("cpu").spec("llm")


def test_a_profile_is_found_by_its_path_and_a_homes_own_comes_first(
    tmp_path: Path, cpu_data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, {**cpu_data, "description": "of the home"}, "cpu")
    assert load_profile(str(path)).description == "of the home"
    assert load_profile("cpu", home=tmp_path).description == "of the home"
    (tmp_path / "sources.yaml").write_text("{}")
    monkeypatch.setenv("RAG_HOME", str(tmp_path))
    assert wanted_profile().path == path
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: mine\nname: mine\n", "line 2: 'name' stands twice"),
        ("roles:\n  slm: {a: 1, a: 2}\n", "line 2: 'a' stands twice"),
        ("name: [", "is not YAML"),
        ("- a\n", "expected a mapping of fields"),
        ("", "expected a mapping of fields"),
        ("name: other\nextends: cpu\ndescription: x\n", "expected the name 'mine'"),
        ("name: mine\nextends: nowhere\n", "no profile 'nowhere'"),
    ],
)
def test_a_file_that_is_no_profile_says_why(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=message):
        load_profile(str(path))


@pytest.mark.parametrize("name", profile_files.profile_files())
def test_a_copy_is_a_profile_of_its_own(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.yaml").write_text(copied(find_profile(name), "mine"))
    mine, known = load_profile(str(tmp_path / "mine.yaml")), load_profile(name)
    assert replace(mine, name=name, path=known.path) == known
    with pytest.raises(ProfileError, match="expected a name of small letters"):
        copied(find_profile(name), "My Profile")


def test_the_schema_for_editors_is_that_of_the_fields() -> None:
    shipped = json.loads((SHIPPED / "schema.json").read_text("utf-8"))
    # Written by `python -m rag_assets.models.profile_files`.
    assert shipped == ProfileFields.model_json_schema()


def test_vllm_itself_accepts_every_flag_and_refuses_one_that_is_gone(tmp_path: Path) -> None:
    """In one process: vLLM takes long to import."""
    commands = [
        engine_command(spec, tmp_path)[3:]
        for name in profile_files.profile_files()
        for spec in load_profile(name).roles.values()
    ]
    gone = [*commands[0], "--task", "embed"]
    done = subprocess.run(
        [sys.executable, "-c", PARSE, json.dumps([*commands, gone])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.count("parsed") == len(commands), done.stderr[-2000:]
    assert done.returncode != 0
    assert "--task" in done.stderr
