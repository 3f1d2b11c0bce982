import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from rag_assets.models.engines import engine_set as engines_module
from rag_assets.models.engines import pulse
from rag_assets.models.engines.command import available_cores, engine_command, engine_environment
from rag_assets.models.engines.engine_set import EngineSet
from rag_assets.models.engines.state import (
    REPORTS,
    read_states,
    running_engines,
    write_states,
)
from rag_assets.models.errors import EngineError, NotPulledError, PortTakenError
from rag_assets.models.profile_files import load_profile
from rag_assets.models.profiles import ModelSpec, Profile, Role
from rag_assets.models.weights import pulling as weights
from rag_assets.models.weights.verifying import seal
from rag_assets.watching import Report, read_reports

# In place of vLLM: a server with a child of its own in its process group, as vLLM's core is.
SERVER = """
import http.server, os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid, flush=True)
mute = "mute" in sys.argv
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if mute and self.path != "/health":
            while "busy" in sys.argv:  # computes itself, as an engine without a core does
                pass
            time.sleep(600)
        self.send_response(200); self.end_headers()
    do_POST = do_GET
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
FAILS = "import sys; print('no such weights'); sys.exit(3)"
NEVER_HEALTHY = "import time; print('thinking', flush=True); time.sleep(600)"


def free_port_base() -> int:
    """Three free ports in a row, below those that the kernel gives to outgoing connections."""
    while True:
        base = random.randrange(10_000, 32_000)
        try:
            for port in range(base, base + 3):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return base


@pytest.fixture
def profile() -> Profile:
    return load_profile("cpu", port_base=free_port_base())


@pytest.fixture
def cache(profile: Profile, tmp_path: Path) -> Path:
    """A cache in which all roles look pulled."""
    for spec in profile.roles.values():
        folder = weights.model_dir(spec, tmp_path / "cache")
        folder.mkdir(parents=True)
        seal(folder, {})
    return tmp_path / "cache"


def running(code: str, *extra: str) -> Callable[[ModelSpec, Path], list[str]]:
    return lambda spec, _folder: [sys.executable, "-c", code, str(spec.port), *extra]


Make = Callable[..., EngineSet]


@pytest.fixture
def make(profile: Profile, cache: Path, tmp_path: Path) -> Iterator[Make]:
    made: list[EngineSet] = []

    def make(code: str = SERVER, *extra: str, **options: object) -> EngineSet:
        engine_set = EngineSet(
            profile,
            cache,
            tmp_path / "state",
            command=running(code, *extra),
            launch="exec",
            **options,  # type: ignore[arg-type]
        )
        made.append(engine_set)
        return engine_set

    yield make
    for engine_set in made:
        engine_set.stop()


def family(engine_set: EngineSet, role: Role) -> list[psutil.Process]:
    leader = psutil.Process(engine_set.states[role].process.pid)
    return [leader, *leader.children(recursive=True)]


def gone(processes: list[psutil.Process], within_s: float = 5.0) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=within_s)
    return not [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


def test_started_engines_are_found_by_others_until_they_stop(make: Make, tmp_path: Path) -> None:
    reports: list[tuple[str, str]] = []
    engine_set = make(progress=lambda role, phase, _s: reports.append((role, phase)))
    engine_set.start()
    found = running_engines(tmp_path / "state")
    assert found == engine_set.states
    assert set(found) == {"slm", "llm", "embedder"}
    assert found["slm"].url.endswith(str(found["slm"].port))
    order = [role for role, phase in reports if phase == "ready"]
    assert order == ["embedder", "slm", "llm"]
    processes = [p for role in found for p in family(engine_set, role)]
    assert len(processes) == 6
    engine_set.stop()
    assert gone(processes)
    assert running_engines(tmp_path / "state") == {}
    engine_set.stop()  # twice does no harm


def test_an_engine_deaf_to_sigterm_is_killed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    engine_set = make(SERVER, "deaf")
    engine_set.start(["slm"])
    processes = family(engine_set, "slm")
    engine_set.stop()
    assert gone(processes)


def test_leaving_the_context_on_an_error_stops_engines(make: Make) -> None:
    engine_set = make()
    processes: list[psutil.Process] = []

    def work() -> None:
        with engine_set:
            engine_set.start(["slm"])
            processes.extend(family(engine_set, "slm"))
            raise KeyError("anything")

    with pytest.raises(KeyError):
        work()
    assert len(processes) == 2
    assert gone(processes)


def test_taken_port_is_named_before_anything_starts(make: Make, profile: Profile) -> None:
    engine_set = make()
    with socket.socket() as other:
        other.bind(("127.0.0.1", profile.spec("llm").port))
        other.listen()
        message = f"port {other.getsockname()[1]}, meant for the engine of llm, is in use"
        with pytest.raises(PortTakenError, match=message):
            engine_set.start()
    assert engine_set.states == {}


def test_an_engine_of_others_that_answers_on_the_port_is_not_taken_for_ours(
    make: Make, profile: Profile
) -> None:
    """It had the port before, but listens only after ours was started: vLLM binds early."""
    with socket.socket() as other:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):  # as vLLM does
            other.setsockopt(socket.SOL_SOCKET, option, 1)
        other.bind(("127.0.0.1", profile.spec("slm").port))

        def answers() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = other.accept()
                    with connection:
                        connection.recv(1 << 16)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

        def listen(_role: str, phase: str, _seconds: float) -> None:
            if phase == "launch":
                other.listen()
                threading.Thread(target=answers, daemon=True).start()

        engine_set = make(NEVER_HEALTHY, progress=listen)
        with pytest.raises(PortTakenError, match=r"meant for the engine of slm, is in use"):
            engine_set.start(["slm"])
        assert engine_set.states == {}
        other.shutdown(socket.SHUT_RDWR)


def test_the_owner_wakes_while_a_launcher_imports(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The keeper takes who sleeps for long for hung: eleven starts in a row were cut off so."""
    slow = tmp_path / "slow.sh"
    slow.write_text(f'#!/bin/sh\nsleep 2\nexec {sys.executable} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("RAG_ENGINE_PYTHON", str(slow))
    waits: list[float | None] = []
    select = engines_module.select.select

    def watched(r: list[object], w: list[object], x: list[object], wait_s: float) -> object:
        waits.append(wait_s)
        return select(r, w, x, wait_s)

    monkeypatch.setattr(engines_module.select, "select", watched)
    engine_set = make()
    engine_set.start(["slm"])
    assert len(waits) > 1
    assert all(wait_s is not None and wait_s <= 1.0 for wait_s in waits)


def test_weights_that_are_not_pulled_are_named(profile: Profile, tmp_path: Path) -> None:
    with pytest.raises(NotPulledError, match=r"weights of embedder .* run `rag models pull`"):
        EngineSet(profile, tmp_path / "empty", tmp_path / "state").start()


def test_failing_engine_shows_the_end_of_its_log(make: Make) -> None:
    with pytest.raises(EngineError, match=r"(?s)slm ended while it started.*no such weights"):
        make(FAILS).start(["slm"])


def test_engine_that_never_gets_healthy_is_given_up(make: Make) -> None:
    reports: list[tuple[str, float]] = []
    engine_set = make(
        NEVER_HEALTHY,
        start_timeout_s=2.5,
        progress=lambda _role, phase, seconds: reports.append((phase, seconds)),
    )
    with pytest.raises(EngineError, match=r"(?s)not healthy after 2\.?\d* s|not healthy after 3 s"):
        engine_set.start(["slm"])
    loads = [seconds for phase, seconds in reports if phase == "load"]
    assert 1 <= len(loads) <= 3
    assert loads == sorted(loads)


def test_a_state_folder_has_one_owner(make: Make) -> None:
    make().start(["slm"])
    with pytest.raises(EngineError, match="another process already runs the engines"):
        make().start(["llm"])


def until(engine_set: EngineSet, condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Let the owner do its work until something holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        engine_set.check()
        time.sleep(0.05)


def test_dead_engine_is_restarted_with_its_whole_family(make: Make, tmp_path: Path) -> None:
    engine_set = make()
    engine_set.start(["slm"])
    before = family(engine_set, "slm")
    engine_set.check()
    assert family(engine_set, "slm") == before  # nothing to do
    before[0].kill()
    assert gone(before[:1])
    engine_set.check()
    assert gone(before)  # its child too
    until(engine_set, lambda: "slm" in engine_set.states)
    after = running_engines(tmp_path / "state")["slm"]
    assert after.process.pid != before[0].pid
    (report,) = read_reports(tmp_path / "state" / REPORTS)
    assert (report.name, report.phase, report.restarts) == ("slm", "up", 1)
    assert report.last_error == "the engine of slm ended"


def test_the_others_go_on_while_one_cannot_be_started(
    make: Make, profile: Profile, tmp_path: Path
) -> None:
    engine_set = make()
    engine_set.start()
    others = [family(engine_set, role)[0] for role in ("embedder", "llm")]
    dead = family(engine_set, "slm")
    with socket.socket() as thief:  # of its port, so that every attempt fails
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        dead[0].kill()
        assert gone(dead[:1])
        thief.bind(("127.0.0.1", profile.spec("slm").port))
        thief.listen()
        until(engine_set, lambda: reports(tmp_path)["slm"].restarts >= 2)
        assert reports(tmp_path)["slm"].phase == "waiting"
        assert "is in use" in reports(tmp_path)["slm"].last_error
        assert all(one.is_running() for one in others)
        assert set(running_engines(tmp_path / "state")) == {"embedder", "llm"}
    until(engine_set, lambda: "slm" in engine_set.states)
    assert all(one.is_running() for one in others)


def reports(tmp_path: Path) -> dict[str, Report]:
    return {one.name: one for one in read_reports(tmp_path / "state" / REPORTS)}


@pytest.mark.parametrize("member", [0, 1])
def test_a_stopped_engine_is_restarted(
    make: Make, monkeypatch: pytest.MonkeyPatch, member: int
) -> None:
    """Its server, or the core below it; both live, and the server may even answer /health."""
    monkeypatch.setattr(pulse, "STOPPED_S", 0.2)
    engine_set = make()
    engine_set.start(["slm", "embedder"])
    before, other = family(engine_set, "slm"), family(engine_set, "embedder")
    before[member].suspend()
    until(engine_set, lambda: "slm" not in engine_set.states)
    until(engine_set, lambda: "slm" in engine_set.states)
    assert gone(before)
    assert family(engine_set, "embedder") == other


def test_an_engine_that_answers_health_and_nothing_else_is_restarted(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(pulse, "ANSWER_S", 0.2)
    monkeypatch.setattr(pulse, "HUNG_S", 1.0)
    engine_set = make(SERVER, "mute")
    engine_set.start(["slm"])
    before = family(engine_set, "slm")
    until(engine_set, lambda: gone(before, 0))
    until(engine_set, lambda: "slm" in engine_set.states)


def test_an_engine_that_computes_for_long_is_left_alone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server computes by itself: vLLM without a process of its own for the core."""
    monkeypatch.setattr(pulse, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(pulse, "ANSWER_S", 0.2)
    monkeypatch.setattr(pulse, "HUNG_S", 1.5)
    engine_set = make(SERVER, "mute", "busy")
    engine_set.start(["slm"])
    before = family(engine_set, "slm")
    end = time.monotonic() + 3.0
    until(engine_set, lambda: time.monotonic() > end)
    assert family(engine_set, "slm") == before


def test_an_idle_engine_that_answers_is_left_alone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "LOOK_EVERY_S", 0.05)
    monkeypatch.setattr(pulse, "HUNG_S", 2.0)
    engine_set = make()
    engine_set.start(["slm"])
    before = family(engine_set, "slm")
    end = time.monotonic() + 3.5
    until(engine_set, lambda: time.monotonic() > end)
    assert family(engine_set, "slm") == before


def test_a_stopped_or_killed_launcher_costs_a_restart_of_its_engines(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines_module, "STOPPED_S", 0.2)
    engine_set = make()
    engine_set.start(["slm"])
    for end in (psutil.Process.suspend, psutil.Process.kill):
        before = family(engine_set, "slm")
        launcher = before[0].parent()
        assert launcher is not None
        end(launcher)
        until(engine_set, lambda: "slm" not in engine_set.states)
        until(engine_set, lambda: "slm" in engine_set.states)
        assert gone([launcher, *before])


def test_killed_owner_leaves_no_orphans(profile: Profile, cache: Path, tmp_path: Path) -> None:
    """The owner is killed with SIGKILL: nobody can clean up but the launcher."""
    code = f"""
import sys, time
from pathlib import Path
from rag_assets.models.engines.engine_set import EngineSet
from rag_assets.models.profile_files import load_profile
server = {SERVER!r}
profile = load_profile("cpu", port_base={profile.spec("slm").port})
command = lambda spec, _folder: [sys.executable, "-c", server, str(spec.port)]
engines = EngineSet(profile, Path({str(cache)!r}), Path({str(tmp_path / "state")!r}),
                    command=command, launch="exec")
engines.start(["slm"])
print("up", flush=True)
time.sleep(600)
"""
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "up\n"
    processes = psutil.Process(owner.pid).children(recursive=True)
    assert len(processes) == 3  # launcher, server, its child
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert gone(processes, within_s=10)


def test_killed_launcher_takes_its_engines_along(make: Make) -> None:
    engine_set = make()
    engine_set.start(["slm"])
    server = family(engine_set, "slm")[0]
    launcher = server.parent()
    assert launcher is not None
    launcher.kill()
    assert gone([server])


def test_stale_state_file_deceives_nobody(make: Make, tmp_path: Path) -> None:
    engine_set = make()
    engine_set.start(["slm"])
    state = engine_set.states["slm"]
    # the id lives, as another process
    reused = replace(state, process=replace(state.process, pid=os.getpid()))
    write_states(tmp_path / "state", [reused])
    assert read_states(tmp_path / "state") == {"slm": reused}
    assert running_engines(tmp_path / "state") == {}
    assert running_engines(tmp_path / "nowhere") == {}


def test_command_serves_on_loopback_with_the_profiles_flags(tmp_path: Path) -> None:
    spec = load_profile("gpu-32gb").spec("llm")
    command = engine_command(spec, tmp_path)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[-len(spec.flags) :] == list(spec.flags)
    assert "--enable-prompt-tokens-details" in command
    embedder = engine_command(load_profile("cpu").spec("embedder"), tmp_path)
    assert "--enable-prompt-tokens-details" not in embedder


def test_environment_fills_in_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_profile("cpu").spec("slm")
    base = {"PATH": "/bin", "PYTHONDONTWRITEBYTECODE": "1"}
    environment = engine_environment(spec, base)
    assert environment["PATH"] == "/bin"
    assert environment["OMP_NUM_THREADS"] == str(available_cores())
    assert environment["HF_HUB_OFFLINE"] == environment["DO_NOT_TRACK"] == "1"
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment.get("LD_PRELOAD", "libiomp5.so").endswith("libiomp5.so")
    monkeypatch.setattr(sys, "prefix", "/nowhere")
    assert "LD_PRELOAD" not in engine_environment(spec, base)


@pytest.mark.parametrize(("text", "limit"), [("150000 100000", 2), ("50000 100000", 1)])
def test_container_quota_limits_the_cores(tmp_path: Path, text: str, limit: int) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert available_cores(tmp_path / "cpu.max") == min(limit, len(os.sched_getaffinity(0)))
    (tmp_path / "cpu.max").write_text("max 100000")
    assert available_cores(tmp_path / "cpu.max") == len(os.sched_getaffinity(0))


def test_supervisor_refuses_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rag_assets.models.engines.supervisor", "--state-dir", str(tmp_path),
         "--cache-dir", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith("run `rag models pull`\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_supervisor_stops_all_on_a_signal_during_start(
    profile: Profile, cache: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """The engine never gets healthy, so the signal comes while the supervisor waits for it."""
    code = f"""
import sys
from rag_assets.models.engines import engine_set as engines, supervisor
never = {NEVER_HEALTHY!r}
init = engines.EngineSet.__init__
def fake(self, *args, **options):
    init(self, *args, launch="exec", command=lambda *_: [sys.executable, "-c", never], **options)
engines.EngineSet.__init__ = fake
sys.exit(supervisor.main(sys.argv[1:]))
"""
    arguments = ["--state-dir", str(tmp_path / "state"), "--cache-dir", str(cache)]
    arguments += ["--port-base", str(profile.spec("slm").port), "--roles", "slm"]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
    log = tmp_path / "state" / "logs" / "slm.log"
    deadline = time.monotonic() + 20
    while not (log.is_file() and log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 2
    process.send_signal(number)
    assert process.wait(timeout=20) == 0
    assert gone(children)
    assert json.loads((tmp_path / "state" / "engines.json").read_text()) == {}
    if process.stdout is not None:
        process.stdout.close()


@pytest.mark.engines
def test_real_engines_run_under_fork(engines: object) -> None:
    from rag_assets_tests.conftest import Engines

    assert isinstance(engines, Engines)
    found = running_engines(engines.state_dir)
    assert set(found) == {"slm", "llm", "embedder"}
    # one server and one core each: no workers, no second import of vLLM
    for state in found.values():
        assert len(psutil.Process(state.process.pid).children(recursive=True)) == 1
