"""The keeper on small programs: what ends, hangs or cannot start, and who takes over."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from rag_assets.orchestration import keeper as keeping
from rag_assets.orchestration import own_processes as own
from rag_assets.orchestration import processes as stack
from rag_assets.orchestration.keeper import Keeper, Part
from rag_assets.orchestration.log_files import rotate
from rag_assets.orchestration.places import RUN
from rag_assets.orchestration.status import status
from rag_assets.process_identity import identity, is_alive
from rag_assets.settings import Settings
from rag_assets.watching import KEEPER, KEEPER_LOCK, KEPT, PART_OF, STANDBY, is_abandoned

LIVES = [sys.executable, "-c", "import time\nwhile True: time.sleep(0.05)"]
FAILS = [sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    made = Settings(
        home=tmp_path, state=tmp_path / "run", lake_uri=str(tmp_path / "lake"),
        cache=tmp_path / "cache", postgres_url=None, answerer_port=1, ui_port=1,
    )  # fmt: skip
    yield made
    for process in own.started(made):
        process.kill()
    own.reap()


def kept(settings: Settings, *parts: Part) -> Keeper:
    return Keeper(settings, parts, dict(os.environ))


def until(keeper: Keeper, condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        keeper.tick()
        time.sleep(0.05)


def test_what_ended_is_started_again_and_told(settings: Settings) -> None:
    part = Part("one", LIVES)
    keeper = kept(settings, part, Part("other", LIVES))
    until(keeper, lambda: all(one.is_up for one in keeper.parts))
    before, other = part.process, keeper.parts[1].process
    assert before is not None
    os.kill(before.pid, signal.SIGKILL)
    until(keeper, lambda: part.is_up and part.process != before)
    assert keeper.parts[1].process == other
    rows = {row.part: row for row in status(settings)}
    assert (rows["one"].phase, rows["one"].restarts) == ("up", 1)
    assert rows["one"].last_error == "was ended by SIGKILL"
    assert (rows["one"].memory_bytes or 0) > 0
    assert rows["other"].restarts == 0


def test_what_a_signal_stopped_is_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "STOPPED_S", 0.2)
    part = Part("one", LIVES)
    keeper = kept(settings, part)
    until(keeper, lambda: part.is_up)
    before = part.process
    assert before is not None
    os.kill(before.pid, signal.SIGSTOP)
    until(keeper, lambda: part.is_up and part.process != before)
    assert not is_alive(before)
    assert "stopped by a signal" in part.restarts.last_error


def test_a_run_that_a_signal_stopped_is_ended_with_what_it_runs(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child may live on, but a run that stands still would never end."""
    monkeypatch.setattr(keeping, "STOPPED_S", 0.2)
    code = f"import subprocess\nprint(subprocess.Popen({LIVES}).pid, flush=True)\nimport time\n"
    code += "while True: time.sleep(0.05)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
        env={**os.environ, RUN: "a run", PART_OF: str(settings.state)},
    ) as run:  # fmt: skip
        assert run.stdout is not None
        child = identity(int(run.stdout.readline()))
        part = Part("one", FAILS, found=lambda: child if is_alive(child) else None)
        keeper = kept(settings, part)
        until(keeper, lambda: part.is_up)
        run.send_signal(signal.SIGSTOP)
        until(keeper, lambda: part.process != child)
        assert run.wait(10) == -signal.SIGKILL
        assert not is_alive(child)
    assert "stopped by a signal" in part.restarts.last_error


def test_what_answers_no_probe_is_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PROBE_EVERY_S", 0.05)
    monkeypatch.setattr(keeping, "HUNG_S", 0.5)
    well = [True]
    part = Part("one", LIVES, answers=lambda: well[0])
    keeper = kept(settings, part)
    until(keeper, lambda: part.is_up)
    before = part.process
    well[0] = False
    until(keeper, lambda: part.process is None)
    well[0] = True
    until(keeper, lambda: part.is_up)
    assert part.process != before
    assert part.restarts.last_error.startswith("gave no answer")


def test_what_cannot_start_is_tried_again_ever_less_often(settings: Settings) -> None:
    part = Part("one", FAILS)
    keeper = kept(settings, part, Part("other", LIVES))
    until(keeper, lambda: part.restarts.total == 3)
    assert "no such thing" in part.restarts.last_error
    assert part.restarts.due - time.monotonic() > 3
    assert keeper.parts[1].is_up
    assert keeper.parts[1].restarts.total == 0


def test_another_keeper_takes_over_what_runs(settings: Settings) -> None:
    first = kept(settings, Part("one", LIVES))
    until(first, lambda: first.parts[0].is_up)
    part = Part("one", LIVES)
    second = kept(settings, part)
    assert part.process == first.parts[0].process
    until(second, lambda: part.is_up)
    assert part.restarts.total == 0
    assert len(own.started(settings, "one")) == 1


def test_what_is_left_of_a_part_is_ended_before_it_starts_again(settings: Settings) -> None:
    """Its child led a session of its own, as engines do, and outlived it."""
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        " start_new_session=True)\nwhile True: time.sleep(0.05)"
    )
    part = Part("one", [sys.executable, "-c", code])
    keeper = kept(settings, part)
    until(keeper, lambda: part.is_up and len(own.started(settings, "one")) == 2)
    before = own.started(settings, "one")
    assert part.process is not None
    os.kill(part.process.pid, signal.SIGKILL)
    until(keeper, lambda: not any(one.is_running() for one in before if one.pid != before[0].pid))
    until(keeper, lambda: part.is_up and len(own.started(settings, "one")) == 2)


def test_a_run_that_a_part_launched_outlives_it(settings: Settings) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
        f" start_new_session=True, env={{**os.environ, {RUN!r}: 'a-run'}})\n"
        "while True: time.sleep(0.05)"
    )
    part = Part("one", [sys.executable, "-c", code])
    keeper = kept(settings, part)
    until(keeper, lambda: part.is_up and len(own.started(settings, "one")) == 2)
    before = part.process
    assert before is not None
    (run,) = [one for one in own.started(settings, "one") if one.pid != before.pid]
    os.kill(before.pid, signal.SIGKILL)
    until(keeper, lambda: part.is_up and part.process != before)
    assert run.is_running()


def test_a_full_disk_does_not_end_the_keeper(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = Part("one", LIVES)
    keeper = kept(settings, part)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(own, "spawn", refuse)
        until(keeper, lambda: part.restarts.total)
        assert "No space left" in part.restarts.last_error
    until(keeper, lambda: part.is_up)


def test_down_ends_all_also_what_is_stopped_or_deaf(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "END_S", 1.0)
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(1)\n"
    keeper = kept(
        settings, Part("one", LIVES), Part("two", [sys.executable, "-c", deaf + LIVES[2]])
    )
    until(keeper, lambda: all(part.is_up for part in keeper.parts))
    stopped = keeper.parts[0].process
    assert stopped is not None
    os.kill(stopped.pid, signal.SIGSTOP)
    ours = own.started(settings)
    stranger = subprocess.Popen(LIVES)
    assert stack.down(settings) == ["one", "two"]
    assert not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in ours)
    assert own.started(settings) == []
    assert status(settings) == []
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert stack.down(settings) == []


def test_what_another_home_runs_is_not_ours(settings: Settings, tmp_path: Path) -> None:
    keeper = kept(settings, Part("one", LIVES))
    until(keeper, lambda: keeper.parts[0].is_up)
    other = replace(settings, state=tmp_path / "other")
    assert stack.down(other) == []
    assert PART_OF not in os.environ
    assert len(own.started(settings)) == 1


PROGRAM = """
import sys
from rag_assets.orchestration import keeper
keeper.STALLED_S = 2.0
keeper.KEEPER_COMMAND = sys.orig_argv[:3]
keeper.parts_of = lambda settings: []
keeper.main(*sys.argv[1:])
"""

DOOR = """
import sys
from rag_assets.serving import door
from rag_assets.settings import load_settings
door.KEEPER_COMMAND = [sys.executable, "-m", "keep"]
door.LOOK_S = 0.6
door._keep_kept(load_settings())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_standby_takes_over_from_a_keeper_that_is_killed_or_stopped(
    settings: Settings, number: signal.Signals
) -> None:
    (settings.home / "sources.yaml").write_text("sources: []")
    lock = settings.state / KEEPER_LOCK
    first = own.spawn(settings, KEEPER, [sys.executable, "-c", PROGRAM], dict(os.environ))
    wait_until(lambda: any(row.part == "standby" and row.phase == "up" for row in status(settings)))
    (standby,) = own.started(settings, STANDBY)
    time.sleep(3)  # it has seen the first one alive
    os.kill(first.process.pid, number)
    wait_until(lambda: _holder(lock) == standby.pid)
    own.reap()
    assert not is_alive(first.process)
    wait_until(lambda: len(own.started(settings, STANDBY)) == 2)  # it has one of its own
    assert stack.down(settings) == ["keeper"]
    assert own.started(settings) == []


def test_the_door_starts_the_keeper_when_it_and_its_standby_die_together(
    settings: Settings,
) -> None:
    (settings.home / "sources.yaml").write_text("sources: []")
    (settings.home / "keep.py").write_text(PROGRAM)
    env = {**os.environ, "PYTHONPATH": f"{settings.home}:{os.environ.get('PYTHONPATH', '')}"}
    own.spawn(settings, "door", [sys.executable, "-c", DOOR], env)
    own.spawn(settings, KEEPER, [sys.executable, "-m", "keep"], env)

    def keepers() -> list[psutil.Process]:
        return [*own.started(settings, KEEPER), *own.started(settings, STANDBY)]

    def are_up() -> bool:
        rows = [(row.part, row.phase) for row in status(settings)]
        return sorted(rows) == [(KEEPER, "up"), (STANDBY, "up")]

    wait_until(are_up)
    before = keepers()
    for one in before:
        one.kill()
    (row,) = [row for row in status(settings) if row.part == KEEPER]
    assert (row.phase, "run `rag up`" in row.last_error) == ("waiting", True)
    wait_until(are_up)
    assert not {one.pid for one in before} & {one.pid for one in keepers()}
    assert stack.down(settings) == ["door", "keeper"]
    time.sleep(2 * 0.6)  # two looks of a door, had it lived
    assert own.started(settings) == []


def test_an_abandoned_service_is_told_from_one_that_is_kept_or_down(settings: Settings) -> None:
    settings.state.mkdir()
    assert not is_abandoned(settings.state, 0.0)  # `rag up` did not run, or `rag down` did
    (settings.state / KEPT).write_text("[]")
    assert is_abandoned(settings.state, 0.0)
    with FileLock(settings.state / KEEPER_LOCK):
        assert not is_abandoned(settings.state, 0.0)


def _holder(lock: Path) -> int | None:
    inode = f":{lock.stat().st_ino} "
    lines = Path("/proc/locks").read_text().splitlines()
    held = [line.split() for line in lines if inode in line and "->" not in line]
    return int(held[0][4]) if held else None


def wait_until(condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def test_a_long_log_is_put_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    with log.open("ab") as writer:
        for text in (b"a" * 100, b"b" * 100, b"c" * 100, b"d" * 100, b"e" * 100):
            writer.write(text)
            writer.flush()
            rotate(tmp_path, max_bytes=50)
            assert log.stat().st_size == 0
        writer.write(b"short")
        writer.flush()
    rotate(tmp_path, max_bytes=50)
    assert log.read_bytes() == b"short"
    kept = {path.name: path.read_bytes()[:1] for path in tmp_path.glob("one.log.*")}
    assert kept == {"one.log.1": b"e", "one.log.2": b"d", "one.log.3": b"c"}


def test_on_a_full_disk_a_long_log_is_only_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "one.log").write_bytes(b"a" * 100)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copyfile", full)
    rotate(tmp_path, max_bytes=50)
    assert [path.name for path in tmp_path.iterdir()] == ["one.log"]
    assert (tmp_path / "one.log").stat().st_size == 0
