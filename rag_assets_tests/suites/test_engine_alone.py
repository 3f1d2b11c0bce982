import shutil
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from rag_assets.models.engines.engine_set import EngineSet
from rag_assets.models.engines.state import is_healthy, running_engines
from rag_assets.models.errors import EngineError, NotPulledError, PortTakenError
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import Precision, Profile, computed_in, in_format, servable
from rag_assets.models.weights import pulling as weights
from rag_assets.models.weights.conversion import convert
from rag_assets.models.weights.verifying import seal
from rag_assets_tests.conftest import Engines
from rag_assets_tests.models.engines.test_engine_set import FAILS, SERVER, gone, running
from rag_assets_tests.models.weights.test_conversion import write_gguf
from rag_assets_tests.suites import engine_alone
from rag_assets_tests.suites.engine_alone import dtype_of, serving, serving_embedder


def pulled(tmp_path: Path, precision: Precision) -> Profile:
    """A profile whose small model is a tiny random one, in the cache below ``tmp_path``."""
    profile = in_format(load_profile("cpu"), precision)
    folder = weights.model_dir(profile.spec("slm"), tmp_path / "cache")
    write_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", folder, precision, progress=lambda _share: None)
    seal(folder, {})
    return profile


def pretend(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """A program of a few lines in place of vLLM."""
    monkeypatch.setattr(
        engine_alone, "EngineSet", partial(EngineSet, command=running(code), launch="exec")
    )


def test_an_engine_serves_for_as_long_as_the_block_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, SERVER)
    profile, state_dir = pulled(tmp_path, "w4a16"), tmp_path / "state"
    with serving(profile, "slm", cache_dir=tmp_path / "cache", state_dir=state_dir) as model:
        (state,) = running_engines(state_dir).values()
        assert state.served_name == "qwen2.5-coder-0.5b-int4"
        assert state.port in engine_alone.PORTS
        assert model.name == "slm"
        assert model.count_chat([{"role": "user", "content": "hello"}]) > 0
        process = psutil.Process(state.process.pid)
    assert gone([process])
    assert not is_healthy(state.url)
    assert running_engines(state_dir) == {}


def test_two_serve_side_by_side_but_not_from_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, SERVER)
    profile = pulled(tmp_path, "bf16")
    run = partial(serving, profile, "slm", cache_dir=tmp_path / "cache")
    with run(state_dir=tmp_path / "one"), run(state_dir=tmp_path / "two"):
        (one,) = running_engines(tmp_path / "one").values()
        (two,) = running_engines(tmp_path / "two").values()
        assert one.port != two.port
        with pytest.raises(EngineError, match="another process already runs the engines"):
            run(state_dir=tmp_path / "one").__enter__()
        assert running_engines(tmp_path / "one") == {"slm": one}


def test_error_in_the_block_stops_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, SERVER)
    profile, state_dir = pulled(tmp_path, "bf16"), tmp_path / "state"
    found = {}

    def work() -> None:
        with serving(profile, "slm", cache_dir=tmp_path / "cache", state_dir=state_dir):
            found.update(running_engines(state_dir))
            raise KeyError("anything")

    with pytest.raises(KeyError):
        work()
    assert not is_healthy(found["slm"].url)


def test_engine_that_cannot_start_shows_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(monkeypatch, FAILS)
    profile = pulled(tmp_path, "bf16")
    context = serving(profile, "slm", cache_dir=tmp_path / "cache", state_dir=tmp_path / "state")
    with pytest.raises(EngineError, match=r"(?s)slm ended while it started.*no such weights"):
        context.__enter__()


def test_missing_weights_are_named_with_their_format(tmp_path: Path) -> None:
    profile = in_format(load_profile("cpu"), "bf16")
    with pytest.raises(NotPulledError, match=r"weights of llm \(.*, bf16\)"):
        serving(profile, "llm", cache_dir=tmp_path, state_dir=tmp_path / "state").__enter__()


def test_taken_ports_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(engine_alone, "PORTS", range(taken, taken + 1))
        with pytest.raises(PortTakenError, match=f"no port from {taken} to {taken} is free"):
            engine_alone._free_port()


@pytest.mark.engines
@pytest.mark.parametrize("precision", ["bf16", "w8a8", "w4a16"])
def test_vllm_serves_every_format(tmp_path: Path, precision: Precision) -> None:
    """The default format is served in all other tests; a tiny model tells whether these load."""
    if precision not in servable():
        pytest.skip(f"vLLM has no kernel for {precision} on a processor without AVX-512")
    profile = pulled(tmp_path, precision)
    flags = ("--dtype", "bfloat16", "--max-model-len", "256", "--enforce-eager")
    small = replace(profile, roles={"slm": replace(profile.spec("slm"), flags=flags)})
    with serving(small, "slm", cache_dir=tmp_path / "cache", state_dir=tmp_path / "state") as model:
        answer = model.complete([{"role": "user", "content": "hello"}], max_tokens=5)
    assert answer.completion_tokens > 0
    assert answer.mean_logprob is not None
    shutil.rmtree(tmp_path / "cache")


@pytest.mark.engines
def test_vectors_of_all_number_formats_agree(engines: Engines, tmp_path: Path) -> None:
    """Profiles choose by the processor; a lake made on one is searched on another."""
    mine = dtype_of(engines.profile, "embedder")
    other = {"float32": "bfloat16", "bfloat16": "float32"}[mine]
    texts = ["The kiln runs at 1,140 degrees.", "Wer hat die Tür geöffnet?", "x = y[3:] or {}"]
    texts.append("Every valve is opened by hand, and twice a day. " * 20)
    profile = computed_in(engines.profile, {"embedder": other})
    with serving_embedder(profile, cache_dir=engines.cache_dir, state_dir=tmp_path) as embedder:
        vectors = embedder.embed(texts)
    theirs = engines.embedder().embed(texts)
    assert np.all((vectors * theirs).sum(axis=1) > 0.999)
    assert not np.array_equal(vectors, theirs)  # they are of two formats
