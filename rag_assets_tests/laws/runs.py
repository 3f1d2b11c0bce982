"""Who asks for one partition at once: sensor, schedule, button, backfill and command; then kills.

``python -m rag_assets_tests.laws.runs`` starts a real ``dagster dev`` on a home of its own, with
the stand-in for the embedder, and changes files before each round:

* all five ask for the same partition at the same time;
* the process of a run is killed;
* a run is terminated by the button;
* the code server is killed;
* everything is killed, the run too, and Dagster is started again.

After each round every run has come to an end, nothing is left to refresh, and each text was
embedded once. It says how long a dead run stood open.
"""

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event

import dagster as dg
import psutil
from dagster_graphql import DagsterGraphQLClient

from rag_assets.installation.home import file_of
from rag_assets.orchestration.dagster_private import PARTITION_NAME_TAG
from rag_assets.orchestration.instance import dagster_environment, open_instance
from rag_assets.orchestration.run_processes import PROCESS, process_of
from rag_assets.process_identity import is_alive
from rag_assets_tests.embedding_server import embedding_server

PARTITION = "docs.0"
N_FILES = 6
TIMES = 2  # once by the stage, once by the gate, which asks for chunks by their own words
PATIENCE_S = 600.0  # on a machine with nothing else to do a round takes one minute
SOURCES = """
sources:
  - name: docs
    kind: folder
    where: {docs}
    buckets: 1
    enrich: false
    cron: "* * * * *"
"""
LOOKS = "poll_interval_seconds: 15"  # of Dagster's monitoring at its runs
LAUNCH = """mutation($p: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $p) { __typename ... on PythonError { message } }
}"""
SCHEDULE = "mutation($s: ScheduleSelector!) { startSchedule(scheduleSelector: $s) { __typename } }"
STOP = """mutation($o: String!, $s: String!) {
  stopRunningSchedule(scheduleOriginId: $o, scheduleSelectorId: $s) { __typename }
}"""
ACTIVE = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def wait_for(what: str, is_so: Callable[[], object]) -> float:
    """Wait; the seconds that it took.

    Raises:
        AssertionError: it did not come.
    """
    began = time.monotonic()
    while not is_so():
        if time.monotonic() - began > PATIENCE_S:
            raise AssertionError(f"{what}: not within {PATIENCE_S:g} s")
        time.sleep(0.2)
    return time.monotonic() - began


class Bench:
    """A home, its Dagster, and the embedder that counts."""

    def __init__(self, home: Path, gate: Event, computed: Counter[str]) -> None:
        self.docs, self.home, self.gate, self.computed = home / "docs", home, gate, computed
        self.instance = open_instance()
        self.n_rounds = 0
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.client = DagsterGraphQLClient("127.0.0.1", port_number=self.port)

    @contextmanager
    def dagster(self) -> Iterator[psutil.Process]:
        """Webserver, daemon and code server, until the body ends."""
        command = [sys.executable, "-W", "ignore", "-m", "dagster", "dev", "-p", str(self.port)]
        place = Path(__file__).parents[2] / "workspace.yaml"
        with (self.home / "dagster.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "-h", "127.0.0.1", "-w", str(place)],
                env=dagster_environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            wait_for("Dagster's UI", self._is_up)
            yield psutil.Process(process.pid)
        finally:
            with suppress(psutil.NoSuchProcess):  # a round killed it
                family = psutil.Process(process.pid)
                kill([family, *family.children(recursive=True)])
            process.wait()

    def _is_up(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def change(self) -> None:
        """Other texts in all files."""
        self.n_rounds += 1
        for n in range(N_FILES):
            words = " ".join(f"word{self.n_rounds}x{n}x{k}" for k in range(60))
            (self.docs / f"{n}.md").write_text(f"# Title {self.n_rounds} {n}\n\n{words}.\n")

    def ask(self, query: str, variables: Mapping[str, object]) -> Mapping[str, object]:
        """A mutation of the UI."""
        answer: Mapping[str, object] = self.client._execute(query, dict(variables))
        if "Error" in str(answer):
            raise AssertionError(f"the UI refused: {answer}")
        return answer

    def press_materialize(self) -> str:
        """The button on the job's page, for the partition."""
        return str(
            self.client.submit_job_execution("refresh_job", tags={PARTITION_NAME_TAG: PARTITION})
        )

    def backfill(self) -> None:
        """The UI's backfill of the job."""
        selector = {
            "partitionSetName": "refresh_job_partition_set",
            "repositorySelector": {
                "repositoryName": "__repository__",
                "repositoryLocationName": "rag_assets",
            },
        }
        self.ask(LAUNCH, {"p": {"selector": selector, "partitionNames": [PARTITION]}})

    def start_schedule(self) -> None:
        """Refresh the source every minute."""
        selector = {
            "repositoryName": "__repository__",
            "repositoryLocationName": "rag_assets",
            "scheduleName": "refresh_docs",
        }
        self.ask(SCHEDULE, {"s": selector})

    def command(self, log: Path) -> subprocess.Popen[bytes]:
        """``rag refresh``."""
        with log.open("wb") as said:
            command = [sys.executable, "-W", "ignore", "-m", "rag_assets", "refresh", "docs"]
            return subprocess.Popen(command, stdout=said, stderr=said)

    def runs(self, statuses: list[dg.DagsterRunStatus] | None = None) -> list[dg.DagsterRun]:
        """Runs of the job, the oldest first."""
        chosen = dg.RunsFilter(job_name="refresh_job", statuses=statuses)
        return list(self.instance.get_runs(chosen))[::-1]

    def waiting(self) -> dg.DagsterRun:
        """The run that waits for its vectors, as the gate is closed; the button's or another."""
        found: list[dg.DagsterRun] = []

        def is_there() -> bool:
            for run in self.runs([dg.DagsterRunStatus.STARTED]):
                steps = {s.step_key: s for s in self.instance.get_run_step_stats(run.run_id)}
                if "embeddings" in steps and steps["embeddings"].end_time is None:
                    found.append(run)
            return bool(found)

        wait_for("a run that embeds", is_there)
        return found[0]

    def settled(self) -> bool:
        """Whether all have ended, those that are begun again too."""
        for run in self.runs():
            is_begun_again = run.tags.get("dagster/will_retry") != "true" or any(
                other.parent_run_id == run.run_id for other in self.runs()
            )
            if not (run.is_finished and is_begun_again):
                return False
        return True

    def check(self, what: str) -> None:
        """All have ended, nothing is left, and every text was embedded once for each purpose."""
        wait_for(f"{what}: all runs end", self.settled)
        log = self.home / "last.log"
        if self.command(log).wait() or "nothing has changed" not in log.read_text():
            raise AssertionError(f"{what}: something was left to do\n{log.read_text()}")
        n_wrong = sum(n != TIMES for n in self.computed.values())
        if n_wrong or len(self.computed) < self.n_rounds * N_FILES:
            raise AssertionError(
                f"{what}: {n_wrong} of {len(self.computed)} texts not {TIMES} times"
            )
        outcomes = Counter(run.status.value for run in self.runs())
        print(f"{what}: {len(self.computed)} texts, {dict(outcomes)}", flush=True)  # noqa: T201


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL, as the kernel does where memory is short."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=10)


def at_once(bench: Bench, _: psutil.Process) -> None:
    """All five ask; one works, one follows it, the others wait and find it done."""
    bench.gate.clear()
    bench.change()
    bench.press_materialize()
    first = bench.waiting().run_id
    bench.start_schedule()
    bench.backfill()
    log = bench.home / "command.log"
    command = bench.command(log)
    wait_for("the command", lambda: f"run {first} refreshes it already" in log.read_text())

    def have_asked() -> bool:
        tags = {key for run in bench.runs() for key in run.tags}
        wanted = {"dagster/sensor_name", "dagster/schedule_name", "dagster/backfill"}
        return wanted <= tags

    wait_for("sensor, schedule and backfill", have_asked)
    # A backfill asks for a range, though of one partition: it waits at the lake's lock instead.
    active = [run.run_id for run in bench.runs(ACTIVE) if "dagster/backfill" not in run.tags]
    if active != [first]:
        raise AssertionError(f"{active} work on one partition, expected {first} alone")
    for state in bench.instance.all_instigator_state():
        if state.instigator_name == "refresh_docs":
            bench.ask(STOP, {"o": state.instigator_origin_id, "s": state.selector_id})
    bench.gate.set()
    if command.wait():
        raise AssertionError(f"the command that followed failed:\n{log.read_text()}")
    if any(run.tags.get(PROCESS, "").startswith(f"{command.pid} ") for run in bench.runs()):
        raise AssertionError(f"the command that followed did it, too:\n{log.read_text()}")
    bench.check("five at once")


def killed_run(bench: Bench, _: psutil.Process) -> None:
    """The daemon lives: it closes the run and begins it again; a command that follows goes on."""
    bench.gate.clear()
    bench.change()
    bench.press_materialize()
    run = bench.waiting()
    process = process_of(run)
    if process is None:
        raise AssertionError(f"no process is known of {run}")
    os.kill(process.pid, signal.SIGKILL)
    took = wait_for("the run's end", lambda: is_closed(bench, run.run_id))
    bench.gate.set()
    bench.check(f"a killed run, closed after {took:.1f} s")


def canceled_run(bench: Bench, _: psutil.Process) -> None:
    """The button Terminate reaches the process; what it leaves, the sensor or a command does."""
    bench.gate.clear()
    bench.change()
    bench.press_materialize()
    run = bench.waiting()
    bench.client.terminate_run(run.run_id)
    process = process_of(run)
    wait_for("the process's end", lambda: process is None or not is_alive(process))
    bench.gate.set()
    state = bench.instance.get_run_by_id(run.run_id)
    if state is None or state.status != dg.DagsterRunStatus.CANCELED:
        raise AssertionError(f"the run ended as {state}")
    bench.command(bench.home / "command.log").wait()
    bench.check("a canceled run")


def killed_code_server(bench: Bench, dagster: psutil.Process) -> None:
    """Runs do not need it; Dagster starts another."""
    bench.gate.clear()
    bench.change()
    bench.press_materialize()
    run_id = bench.waiting().run_id
    family = dagster.children(recursive=True)
    kill([one for one in family if "grpc" in one.cmdline()])
    bench.gate.set()
    bench.check("a killed code server")
    run = bench.instance.get_run_by_id(run_id)
    if run is None or not run.is_success:
        raise AssertionError(f"the run ended as {run}")


def killed_all(bench: Bench, dagster: psutil.Process) -> None:
    """As a machine that loses its power, but for its start; the run that nobody closed."""
    bench.gate.clear()
    bench.change()
    bench.press_materialize()
    run_id = bench.waiting().run_id
    kill([dagster, *dagster.children(recursive=True)])
    if is_closed(bench, run_id):
        raise AssertionError(f"{run_id} is closed, though nobody was there to do so")
    began = time.monotonic()
    with bench.dagster():
        wait_for("the run's end", lambda: is_closed(bench, run_id))
        took = time.monotonic() - began
        bench.gate.set()
        bench.check(f"all killed, closed {took:.1f} s after Dagster's start")


def is_closed(bench: Bench, run_id: str) -> bool:
    """Whether a run has ended."""
    run = bench.instance.get_run_by_id(run_id)
    return run is not None and run.is_finished


ROUNDS = {
    round.__name__: round
    for round in (at_once, killed_run, canceled_run, killed_code_server, killed_all)
}


def looked_at(home: Path, every_s: int) -> None:
    """Give the home a ``dagster.yaml`` that is ours but for the time between two looks."""
    before, found, after = file_of(home, "dagster.yaml").read_text().partition(LOOKS)
    if not found:
        raise AssertionError(f"expected {LOOKS!r} in dagster.yaml")
    (home / "dagster.yaml").write_text(f"{before}poll_interval_seconds: {every_s}{after}")


def main() -> None:
    """Ask, kill, and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rounds", nargs="*", default=[*ROUNDS], help="names of them; default: all")
    parser.add_argument(
        "--look-every", type=int, help="seconds between two looks of Dagster at its runs"
    )
    given = parser.parse_args()
    chosen = given.rounds
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    computed: Counter[str] = Counter()
    with ExitStack() as held:
        home = Path(held.enter_context(tempfile.TemporaryDirectory()))
        for name in ("RAG_POSTGRES_URL", "RAG_EXECUTOR", "RAG_RUN_LAUNCHER", "RAG_STATE"):
            os.environ.pop(name, None)
        os.environ |= {"RAG_HOME": str(home), "RAG_PROFILE": "cpu"}
        (home / "docs").mkdir()
        (home / "sources.yaml").write_text(SOURCES.format(docs=home / "docs"))
        if given.look_every:
            looked_at(home, given.look_every)
        gate = held.enter_context(embedding_server(home / "run", computed))
        bench = Bench(home, gate, computed)
        try:
            with bench.dagster() as dagster:
                for name in chosen:
                    ROUNDS[name](bench, dagster)
        except BaseException:
            sys.stderr.write((home / "dagster.log").read_text()[-6000:])
            raise
    print(f"{len(chosen)} rounds, 0 failed")  # noqa: T201


if __name__ == "__main__":
    main()
