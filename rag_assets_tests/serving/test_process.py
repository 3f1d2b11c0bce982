"""The process: port, state file, signals, all with real processes and sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from rag_assets.lake.store import LakeStore
from rag_assets.models.errors import PortTakenError
from rag_assets.process_identity import ProcessId, identity
from rag_assets.serving import door
from rag_assets.serving.client import (
    STATE_FILE,
    AnswererClient,
    AnswererDownError,
    AnswererError,
)
from rag_assets.serving.listening import (
    ExposedError,
    answerer_address,
    claim_port,
    require_keys,
    running_answerer,
    state_file,
)
from rag_assets.serving.process import serve
from rag_assets.settings import Settings, load_settings
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, publish_docs

# The answerer's own run(), on scripted models: "slow" questions take as long as the test says.
SERVER = """
import sys, time, logging
from pathlib import Path
from rag_assets.access.file import AccessFile
from rag_assets.lake.store import LakeStore
from rag_assets.serving.listening import claim_port
from rag_assets.serving.process import build_service, run
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
lake, state, port, delay, with_parent = sys.argv[1:]
def reply(call):
    time.sleep(float(delay))
    return copies(call)
chat = ScriptedChat("slm", reply)
access = AccessFile(Path(lake).parent)
service = build_service(LakeStore(lake), chat, chat, lambda _: WordEmbedder(), access=access)
run(service, claim_port(int(port)), Path(state), with_parent=with_parent == "yes")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def answerer(
    tmp_path: Path, *, delay: float = 0.0, docs: bool = True
) -> Iterator[tuple[subprocess.Popen[str], AnswererClient]]:
    store = LakeStore(str(tmp_path / "lake"))
    if docs:
        publish_docs(store, FERRIES, WordEmbedder())
    port = free_port()
    arguments = [store.uri, str(tmp_path / "run"), str(port), str(delay), "no"]
    process = subprocess.Popen([sys.executable, "-c", SERVER, *arguments], text=True)
    client = AnswererClient(f"http://127.0.0.1:{port}")
    try:
        wait_until(client.is_up)
        yield process, client
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def test_a_port_is_claimed_once() -> None:
    port = free_port()
    with claim_port(port), pytest.raises(PortTakenError, match=f"port {port} is in use by another"):
        claim_port(port)
    claim_port(port).close()  # free again at once


def test_other_machines_are_not_let_in_before_there_are_keys(tmp_path: Path) -> None:
    settings = replace(load_settings(), home=tmp_path, state=tmp_path / "run", answerer_port=0)
    exposed = [replace(settings, host="0.0.0.0"), replace(settings, allowed_hosts=("a.org",))]
    for one in exposed:
        with pytest.raises(ExposedError, match=r"access.yaml .*rag keys add NAME"):
            require_keys(one)
        assert serve(one) == serve(one, behind_door=True) == door.main(one) == 1
    require_keys(settings)
    (tmp_path / "access.yaml").touch()
    require_keys(exposed[0])


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1"])
def test_a_server_on_all_addresses_has_the_port_too(address: str) -> None:
    with socket.socket() as other:
        other.bind((address, 0))
        other.listen()
        with pytest.raises(PortTakenError, match="RAG_ANSWERER_PORT"):
            claim_port(other.getsockname()[1])


def test_state_file_is_there_while_it_runs(tmp_path: Path) -> None:
    with state_file(tmp_path / "run", 8460, "key") as path:
        state = json.loads(path.read_text())
        assert ProcessId.parse(state["process"]) == identity(os.getpid())
        assert running_answerer(tmp_path / "run") == identity(os.getpid())
        assert answerer_address(tmp_path / "run") == state["url"]
        assert (state["port"], state["url"]) == (8460, "http://127.0.0.1:8460")
    assert not path.exists()
    assert running_answerer(tmp_path / "run") is None
    assert answerer_address(tmp_path / "run") == ""


def test_a_successors_state_file_is_left_alone(tmp_path: Path) -> None:
    with state_file(tmp_path, 1, "key") as path:
        path.write_text(json.dumps({"process": "1 1 x"}))
    assert path.exists()


def test_it_answers_and_stops_on_sigterm(tmp_path: Path) -> None:
    with answerer(tmp_path) as (process, client):
        record = client.ask("When was MV Tern built?")
        assert record["citations"][0]["uri"] == "fleet:tern.html"
        assert client.readiness() == ""
        assert client.status()["pid"] == process.pid
        state = json.loads((tmp_path / "run" / STATE_FILE).read_text())
        assert ProcessId.parse(state["process"]).pid == process.pid
        assert state["url"] == client.url
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        assert not (tmp_path / "run" / STATE_FILE).exists()
        with pytest.raises(AnswererDownError, match="start it with `rag up`"):
            client.ask("When was MV Tern built?")


def test_sigterm_lets_answers_in_flight_finish(tmp_path: Path) -> None:
    with answerer(tmp_path, delay=1.5) as (process, client):
        records: list[dict[str, object]] = []
        asking = threading.Thread(
            target=lambda: records.append(client.ask("When was MV Tern built?"))
        )
        asking.start()
        wait_until(lambda: client.status()["running"] == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        asking.join()
        assert "2003" in str(records[0]["answer"])


def test_it_waits_for_its_first_generation(tmp_path: Path) -> None:
    with answerer(tmp_path, docs=False) as (_, client):
        assert "no generation is live yet" in client.readiness()
        publish_docs(LakeStore(str(tmp_path / "lake")), FERRIES, WordEmbedder())
        assert client.reload()["swapped"] is True
        assert client.readiness() == ""


def test_it_goes_with_its_parent(tmp_path: Path) -> None:
    """A killed Dagster run leaves no answerer behind."""
    port = free_port()
    parent_code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', *sys.argv[1:]])\ntime.sleep(60)\n"
    )
    arguments = [str(tmp_path / "lake"), str(tmp_path / "run"), str(port), "0", "yes"]
    parent = subprocess.Popen([sys.executable, "-c", parent_code, SERVER, *arguments])
    client = AnswererClient(f"http://127.0.0.1:{port}")
    try:
        wait_until(client.is_up)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not client.is_up(), 15)
    wait_until(lambda: not (tmp_path / "run" / STATE_FILE).exists(), 15)


def run_module(tmp_path: Path, port: int) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ, "RAG_HOME": str(tmp_path), "RAG_LAKE": str(tmp_path / "lake"),
        "RAG_ANSWERER_PORT": str(port),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "rag_assets.serving"], env=env, text=True, capture_output=True,
        timeout=60, check=False,
    )  # fmt: skip


def test_the_module_says_that_another_server_has_the_port(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = run_module(tmp_path, port)
    assert done.returncode == 1
    assert f"port {port} is in use by another program" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_module_says_that_an_answerer_has_the_port(tmp_path: Path) -> None:
    with answerer(tmp_path) as (_, client):
        done = run_module(tmp_path, int(client.url.rsplit(":", 1)[1]))
    assert done.returncode == 1
    assert "in use by an answerer; stop it (`rag down`" in done.stderr


def test_the_module_says_that_no_engine_runs(tmp_path: Path) -> None:
    done = run_module(tmp_path, free_port())
    assert done.returncode == 1
    assert "rag up" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_answerer_starts_without_dagster() -> None:
    code = "import sys, rag_assets.serving.process; sys.exit('dagster' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello")

    do_POST = do_GET

    def log_message(self, *args: object) -> None:
        pass


def test_a_strangers_server_is_recognised() -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            client = AnswererClient(f"http://127.0.0.1:{server.server_port}")
            assert not client.is_up()
            assert "is not an answerer" in client.readiness()
        finally:
            server.shutdown()
            thread.join()


def test_the_commands_of_the_home_have_a_key_of_their_own(tmp_path: Path) -> None:
    with answerer(tmp_path) as (_, client):
        (tmp_path / "access.yaml").write_text("sources: {}")
        state = tmp_path / "run"
        assert (state / STATE_FILE).stat().st_mode & 0o077 == 0
        with pytest.raises(AnswererError, match="expected the header Authorization"):
            client.status()
        port = int(client.url.rpartition(":")[2])
        settings = Settings(tmp_path, state, "", tmp_path, None, answerer_port=port, ui_port=0)
        own = AnswererClient.of(settings)
        assert own.status()["generation"]["chunks"] > 0
        assert not own.ask("When was MV Tern built?")["abstained"]
        wrong = AnswererClient(client.url, lambda: "wrong")
        with pytest.raises(AnswererError, match="unknown or has expired"):
            wrong.ask("When was MV Tern built?")
