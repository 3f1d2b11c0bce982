"""The law of faults: whatever dies, hangs or is full, the service is whole again without a person.

``python -m rag_assets_tests.laws.faults --rounds 100`` starts all of ``rag up`` in a home of its
own, lets callers ask without a pause, and in each round kills or stops one process, or fills the
disk or the shared memory for a while. It then waits until the service is whole. Each caller must
get an answer, or 503 with ``Retry-After``, within its time. A table says how long each fault took.

``--engines stand-in`` (the default) puts a small server with a core in place of vLLM: all other
processes are the real ones. ``--engines real`` runs the small model for all questions and the
embedder. Full file systems are small ones of memory, mounted where only the harness sees them; that
takes root, and without it those faults are left out.
"""

import argparse
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from rag_assets.models.engines.state import read_states
from rag_assets.orchestration import own_processes as own
from rag_assets.orchestration import processes as stack
from rag_assets.serving.listening import running_answerer
from rag_assets.settings import Settings, load_settings
from rag_assets.watching import KEEPER, STANDBY
from rag_assets_tests.laws import stand_in_engine
from rag_assets_tests.servers import free_ports

PRIVATE = "RAG_FAULTS_MOUNTS"  # set where the harness has mounts of its own
CALLER_S = 90.0  # a caller's own time
WHOLE_S = 240.0  # then the law is broken
FULL_S = 20.0  # a file system stays full
N_CALLERS = 3
TEXTS = {
    "boats.md": "# Boats\n\nThe Tern was built in 2003 at Norrsund and carries 40 cars.",
    "piers.md": "# Piers\n\nThe pier at Brandholm has two berths; the northern one is closed.",
    "fares.md": "# Fares\n\nA passage costs 12 euros for an adult and 6 euros for a child.",
}  # fmt: skip
PROFILE = """\
name: faults
description: The small model for all questions; for the law of faults.
extends: cpu
launch: {launch}
without_avx512: {{format: bf16, dtype: {{slm: float32}}}}
roles:
  llm: {{same_as: slm}}
"""
QUESTION = "When was the Tern built?"


@dataclass
class Callers:
    """Threads that ask without a pause, and what became of their questions."""

    url: str
    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(N_CALLERS)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            self.outcomes[self._once()] += 1
            self.slowest = max(self.slowest, time.monotonic() - began)
            self._over.wait(0.3)

    def _once(self) -> str:
        try:
            response = httpx.post(
                f"{self.url}/v1/answers",
                json={"question": QUESTION},
                timeout=CALLER_S,
                trust_env=False,
            )
        except httpx.TimeoutException:
            return "no answer in time"
        except httpx.TransportError:
            return "connection lost"
        if response.status_code == 200:
            return "answered"
        if response.status_code in (429, 503) and "Retry-After" in response.headers:
            return "told to retry"
        return f"status {response.status_code}: {response.text[:200]}"


class House:
    """All of ``rag up``, and who is who in it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def targets(self) -> dict[str, int]:
        """Name -> process id of each process that can be killed or stopped."""
        found = {
            one.name: int(one.process.split()[0])
            for one in stack.reports(self.settings)
            if one.process and one.name not in ("slm", "embedder", "llm")
        }
        for process in own.started(self.settings, STANDBY):
            if process.pid != found.get(STANDBY):
                found[KEEPER] = process.pid
        for process in own.started(self.settings, KEEPER):
            found[KEEPER] = process.pid
        for role, state in read_states(self.settings.state).items():
            server = psutil.Process(state.process.pid)
            found[f"{role} server"] = server.pid
            children = server.children()
            if children:
                found[f"{role} core"] = children[-1].pid
            if (parent := server.parent()) is not None:
                found["launcher"] = parent.pid
        answerer = running_answerer(self.settings.state)
        if answerer is not None:
            found["answerer's run"] = psutil.Process(answerer.pid).ppid()
        return found

    def is_whole(self) -> bool:
        """Everything runs, is ready, and answers."""
        with suppress(psutil.NoSuchProcess, httpx.TransportError):
            reports = stack.reports(self.settings)
            names = {one.name for one in reports}
            if not names >= {"slm", "embedder", STANDBY, *stack.PARTS}:
                return False
            if any(one.phase != "up" for one in reports) or KEEPER not in self.targets():
                return False
            ready = httpx.get(f"{self.settings.answerer_url}/readyz", timeout=10, trust_env=False)
            ui = f"{self.settings.ui_url}/server_info"
            return (
                ready.status_code == httpx.get(ui, timeout=10, trust_env=False).status_code == 200
            )
        return False


def hit(house: House, target: str, number: signal.Signals) -> Callable[[], bool]:
    """Send a signal to a process; returns whether that process is gone and the house whole."""
    targets = house.targets()
    ending = [psutil.Process(targets[name]) for name in target.split(" and ")]
    for process in ending:
        process.send_signal(number)
    if "'s run" in target:
        ending.append(psutil.Process(targets["answerer"]))  # which ends with it, a moment later

    def mended() -> bool:
        return not any(one.is_running() for one in ending) and house.is_whole()

    return mended


def fill(house: House, folder: Path, victim: str) -> Callable[[], bool]:
    """Fill a file system, kill a process meanwhile, and make room again after a while."""
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    process = psutil.Process(house.targets()[victim])
    process.kill()
    time.sleep(FULL_S)
    ballast.unlink()
    return lambda: not process.is_running() and house.is_whole()


@contextmanager
def home(folder: Path, engines: str) -> Iterator[Settings]:
    """A home with three documents, published, and all of ``rag up`` in it."""
    place = folder / "home"
    (place / "texts").mkdir(parents=True)
    for name, text in TEXTS.items():
        (place / "texts" / name).write_text(text)
    source = "{name: texts, kind: folder, where: texts, enrich: false}"
    (place / "sources.yaml").write_text(f"sources:\n  - {source}\n")
    launch = "fork" if engines == "real" else "exec"
    (folder / "faults.yaml").write_text(PROFILE.format(launch=launch))
    ui, answerer, *_ = free_ports(2)
    os.environ |= {
        "RAG_HOME": str(place),
        "RAG_PROFILE": str(folder / "faults.yaml"),
        "RAG_UI_PORT": os.environ.get("RAG_UI_PORT") or str(ui),
        "RAG_ANSWERER_PORT": os.environ.get("RAG_ANSWERER_PORT") or str(answerer),
        "RAG_ENGINE_PORT_BASE": os.environ.get("RAG_ENGINE_PORT_BASE") or "28461",
    }
    if engines == "stand-in":
        os.environ["RAG_ENGINE_PYTHON"] = str(stand_in_engine.environment(folder / "engines"))
    try:
        rag("up")
        rag("refresh")
        yield load_settings()
    finally:
        began = time.monotonic()
        rag("down")
        say(f"rag down took {time.monotonic() - began:.1f} s")


def rag(*arguments: str) -> None:
    command = [sys.executable, "-m", "rag_assets", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"rag {' '.join(arguments)} failed: {done.stdout}\n{done.stderr}")


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


def wait_until(condition: Callable[[], bool], timeout_s: float) -> float:
    """Seconds until something holds.

    Raises:
        TimeoutError: it did not.
    """
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError
        time.sleep(0.2)
    return time.monotonic() - began


def deck(rng: random.Random, folder: Path, wanted: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Fault and process, each pair once in a random order, over and over."""
    targets = [
        "slm server", "slm core", "embedder server", "embedder core", "launcher", "engines",
        "answerer", "answerer's run", "code", "webserver", "daemon", "door", "keeper", "standby",
    ]  # fmt: skip
    pairs = [(fault, target) for fault in ("kill", "stop") for target in targets]
    pairs.append(("kill", "keeper and standby"))
    if PRIVATE in os.environ:
        pairs += [("disk full", "slm server"), ("disk full", "answerer")]
        pairs += [("disk full", "keeper"), ("shared memory full", "slm server")]
    pairs = [pair for pair in pairs if not wanted or " ".join(pair) in wanted]
    while True:
        yield from rng.sample(pairs, len(pairs))


def run(rounds: int, seed: int, engines: str, wanted: Sequence[str]) -> bool:
    """Run rounds and print what became of them; whether the law held."""
    rng = random.Random(seed)
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    outcomes: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    broken = []
    with (
        tempfile.TemporaryDirectory() as name,
        mounted(Path(name) / "disk") as folder,
        home(folder, engines) as settings,
    ):
        house = House(settings)
        wait_until(house.is_whole, WHOLE_S)
        for number, pair in zip(range(rounds), deck(rng, folder, wanted), strict=False):
            fault, target = pair
            callers = Callers(settings.answerer_url)
            callers.start()
            time.sleep(rng.uniform(0.5, 2.0))
            try:
                if fault in ("kill", "stop"):
                    sent = signal.SIGKILL if fault == "kill" else signal.SIGSTOP
                    mended = hit(house, target, sent)
                else:
                    full = folder if fault == "disk full" else Path("/dev/shm")
                    mended = fill(house, full, target)
                took[pair].append(wait_until(mended, WHOLE_S))
                ended = f"whole after {took[pair][-1]:.1f} s"
            except TimeoutError:
                ended = f"NOT whole after {WHOLE_S:.0f} s"
                broken.append(pair)
            callers.stop()
            outcomes[pair] += callers.outcomes
            said = ", ".join(f"{n} {what}" for what, n in sorted(callers.outcomes.items()))
            slowest = f"slowest {callers.slowest:.1f} s"
            say(f"{number + 1}: {fault}, {target}: {ended}; {slowest}; {said}")
            if broken:
                say(f"what was said: {stack.reports(settings)}")
                break
    table(took, outcomes)
    wrong = sum(
        n
        for (_, target), counted in outcomes.items()
        for what, n in counted.items()
        if what not in ("answered", "told to retry")
        and not (target == "door" and what == "connection lost")
    )
    say(f"{sum(map(len, took.values()))} rounds, {len(broken)} not whole, {wrong} callers let down")
    return not broken and not wrong


def table(
    took: dict[tuple[str, str], list[float]], outcomes: dict[tuple[str, str], Counter[str]]
) -> None:
    """The note: a row a fault and process."""
    say(
        "| fault | process | rounds | whole after, median | max | answered | told to retry | lost |"
    )
    say("|---|---|---|---|---|---|---|---|")
    for pair in sorted(pair for pair in took if took[pair]):
        seconds, counted = took[pair], outcomes[pair]
        say(
            f"| {pair[0]} | {pair[1]} | {len(seconds)} | {statistics.median(seconds):.1f} s "
            f"| {max(seconds):.1f} s | {counted['answered']} | {counted['told to retry']} "
            f"| {counted.total() - counted['answered'] - counted['told to retry']} |"
        )


@contextmanager
def mounted(folder: Path) -> Iterator[Path]:
    """The folder, and the shared memory, small where mounts are private."""
    folder.mkdir()
    if PRIVATE not in os.environ:
        yield folder
        return
    for place, size in ((folder, "400m"), (Path("/dev/shm"), "64m")):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def main() -> None:
    """Take the options; go where mounts are private, if that is allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engines", choices=("stand-in", "real"), default="stand-in")
    parser.add_argument("--fault", action="append", default=[], help='only this, as "kill door"')
    chosen = parser.parse_args()
    if PRIVATE not in os.environ and os.getuid() == 0 and shutil.which("unshare"):
        os.environ[PRIVATE] = "1"
        command = ["unshare", "--mount", sys.executable, "-m", "rag_assets_tests.laws.faults"]
        os.execvp(command[0], [*command, *sys.argv[1:]])
    sys.exit(not run(chosen.rounds, chosen.seed, chosen.engines, chosen.fault))


if __name__ == "__main__":
    main()
