"""What `rag doctor` says of backups and of Dagster's UI; the rest is tested through the command."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from rag_assets.cli import doctor
from rag_assets.lake.store import LakeStore
from rag_assets.settings import Settings
from rag_assets_tests.servers import http_server

NOW = datetime(2030, 1, 31, tzinfo=UTC)


class Webserver(BaseHTTPRequestHandler):
    headers_sent: dict[str, str] = {}  # noqa: RUF012 - the test sets it

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(json.dumps({}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with http_server(Webserver) as server:
        yield Settings(
            home=tmp_path, state=tmp_path, lake_uri="", cache=tmp_path, postgres_url=None,
            answerer_port=1, ui_port=server.server_port,
        )  # fmt: skip


def test_a_ui_without_guard_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    found = doctor._ui(settings)
    assert (found.level, "any web page can start runs" in found.found) == ("bad", True)
    monkeypatch.setattr(Webserver, "headers_sent", {"X-Frame-Options": "DENY"})
    assert doctor._ui(settings).level == "ok"
    proxied = replace(settings, ui_hosts=("dagster.example.org",))
    assert doctor._ui(proxied).level == "note"
    assert "dagster.example.org" in doctor._ui(proxied).remedy
    assert doctor._ui(replace(proxied, ui_token="x" * 20)).level == "ok"
    assert doctor._ui(replace(settings, ui_port=1)).found == "does not run"


def test_the_age_of_the_last_backup_is_told(tmp_path: Path) -> None:
    store = LakeStore(str(tmp_path / "lake"))
    assert doctor._backup(store, NOW).level == "note"
    for days, level in ((7, "ok"), (9, "note")):
        made_at = (NOW - timedelta(days=days)).isoformat()
        store.put_record("backup", {"made_at": made_at, "where": "/backups"})
        found = doctor._backup(store, NOW)
        assert (found.level, found.found) == (level, f"{days} days old, in /backups")
