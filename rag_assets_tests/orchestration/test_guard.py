"""Dagster's UI behind its guard: what the page itself sends passes, what another makes it send not.

The webserver and its instance are real ones.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from rag_assets.orchestration.webserver import guarded_ui
from rag_assets.settings import SettingsError, load_settings

UI = "http://127.0.0.1:3000"
EVIL = "https://evil.example"
TOKEN = "correct horse battery staple"
MUTATION = {"query": "mutation { setNuxSeen }"}
REPORT = "/report_asset_materialization/made"
Browse = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ui")
    (folder / "sources.yaml").write_text("sources: []")
    (folder / "workspace.yaml").write_text("load_from: []")
    return folder


@contextmanager
def served(place: Path, url: str = UI, **variables: str) -> Iterator[TestClient]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RAG_HOME", "DAGSTER_HOME"):
            patch.setenv(name, str(place))
        for name, value in variables.items():
            patch.setenv(name, value)
        with (
            guarded_ui(place / "workspace.yaml", load_settings()) as app,
            TestClient(app, base_url=url, follow_redirects=False) as client,
        ):
            yield client


@pytest.fixture(scope="module")
def ui(place: Path) -> Iterator[TestClient]:
    with served(place) as client:
        yield client


def n_reported(place: Path) -> int:
    with dg.DagsterInstance.from_ref(dg.DagsterInstance.local_temp(str(place)).get_ref()) as of:
        return len(of.fetch_materializations(dg.AssetKey("made"), limit=100).records)


def test_what_the_page_sends_is_answered(ui: TestClient, place: Path) -> None:
    own = {"Origin": UI, "Sec-Fetch-Site": "same-origin"}
    page = ui.get("/assets", headers={"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"})
    assert page.status_code == 200
    assert "<html" in page.text
    policies = page.headers.get_list("content-security-policy")
    assert "frame-ancestors 'none'" in policies
    assert any("script-src" in policy for policy in policies)  # Dagster's own holds, too
    assert page.headers["x-frame-options"] == "DENY"
    asked = ui.post("/graphql", json=MUTATION, headers=own)
    assert asked.json()["data"] == {"setNuxSeen": True}
    before = n_reported(place)
    assert ui.post(REPORT, json={}, headers=own).status_code == 200
    assert n_reported(place) == before + 1


def test_a_script_of_this_machine_is_answered(ui: TestClient) -> None:
    assert ui.post("/graphql", json=MUTATION).json()["data"] == {"setNuxSeen": True}


def test_a_link_from_elsewhere_opens_the_page(ui: TestClient) -> None:
    linked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    assert ui.get("/runs", headers=linked).status_code == 200


FORGED: dict[str, tuple[int, Callable[[TestClient], Any]]] = {
    "a mutation in a link": (
        403, lambda ui: ui.get("/graphql", params=MUTATION),
    ),
    "a mutation in a picture": (
        403, lambda ui: ui.get(
            "/assets", headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"}),
    ),
    "a mutation of another page": (
        403, lambda ui: ui.post("/graphql", json=MUTATION, headers={"Origin": EVIL}),
    ),
    "a page of another port": (
        403, lambda ui: ui.post(
            "/graphql", json=MUTATION, headers={"Origin": "http://127.0.0.1:8888"}),
    ),
    "a page that hides its origin": (
        403, lambda ui: ui.post("/graphql", json=MUTATION, headers={"Origin": "null"}),
    ),
    "another site's fetch": (
        403, lambda ui: ui.post(
            "/graphql", json=MUTATION, headers={"Sec-Fetch-Site": "cross-site"}),
    ),
    "a form whose address holds the mutation": (
        403, lambda ui: ui.post("/graphql", params=MUTATION, data={"a": "b"}),
    ),
    "a form": (415, lambda ui: ui.post("/graphql", data=MUTATION)),
    "plain text": (
        415, lambda ui: ui.post(
            "/graphql", content="{}", headers={"Content-Type": "text/plain"}),
    ),
    "a type that only contains JSON's": (  # browsers take it for plain text, Dagster for JSON
        415, lambda ui: ui.post(
            "/graphql", content='{"query": "mutation { setNuxSeen }"}',
            headers={"Content-Type": "text/plain; application/json"}),
    ),
    "a report without a type": (415, lambda ui: ui.post(REPORT)),
    "a report of another page": (
        403, lambda ui: ui.post(REPORT, json={}, headers={"Origin": EVIL}),
    ),
    "a name that leads here (DNS rebinding)": (
        400, lambda ui: ui.post(
            "/graphql", json=MUTATION, headers={"Host": "evil.example", "Origin": UI}),
    ),
    "no name": (400, lambda ui: ui.get("/", headers={"Host": ""})),
}  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
def test_what_is_forged_is_refused(ui: TestClient, place: Path, kind: str) -> None:
    status, send = FORGED[kind]
    before = n_reported(place)
    answer = send(ui)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}
    assert answer.headers["x-frame-options"] == "DENY"
    assert n_reported(place) == before


def subscribe(ui: TestClient, headers: dict[str, str]) -> str:
    with ui.websocket_connect(
        UI.replace("http", "ws") + "/graphql", subprotocols=["graphql-ws"], headers=headers
    ) as socket:
        socket.send_json({"type": "connection_init"})
        said: dict[str, str] = socket.receive_json()
        return said["type"]


def test_only_the_pages_own_websocket_is_taken(ui: TestClient) -> None:
    assert subscribe(ui, {"Origin": UI, "Host": "127.0.0.1:3000"}) == "connection_ack"
    for headers in ({"Origin": EVIL}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        with pytest.raises(WebSocketDenialResponse) as refused:
            subscribe(ui, {"Host": "127.0.0.1:3000", **headers})
        assert refused.value.status_code in (400, 403)


def test_a_token_is_asked_for_where_one_is_set(place: Path) -> None:
    with served(place, RAG_UI_TOKEN=TOKEN) as ui:
        assert ui.get("/assets").status_code == 401
        assert ui.post("/graphql", json=MUTATION).status_code == 401
        assert ui.get("/assets", params={"token": TOKEN[:-1]}).status_code == 401
        with pytest.raises(WebSocketDenialResponse):
            subscribe(ui, {"Origin": UI})
        assert ui.get("/server_info").status_code == 200  # the keeper's probe
        script = {"Authorization": f"Bearer {TOKEN}"}
        assert ui.post("/graphql", json=MUTATION, headers=script).status_code == 200
        entry = ui.get("/assets", params={"a": "b", "token": TOKEN})
        assert (entry.status_code, entry.headers["location"]) == (303, f"{UI}/assets?a=b")
        cookie = entry.headers["set-cookie"]
        assert TOKEN not in cookie
        assert {"HttpOnly", "SameSite=strict"} <= {part.strip() for part in cookie.split(";")}
        assert ui.get("/assets").status_code == 200  # the client keeps the cookie, as browsers do
        assert subscribe(ui, {"Origin": UI}) == "connection_ack"
        forged = ui.post("/graphql", json=MUTATION, headers={"Origin": EVIL})
        assert forged.status_code == 403


def test_behind_a_proxy_the_page_has_the_proxys_name(place: Path) -> None:
    public = "https://rag.example.org"
    variables = {"RAG_UI_HOSTS": "rag.example.org", "RAG_UI_TOKEN": TOKEN}
    with served(place, public, **variables) as ui:
        entry = ui.get("/", params={"token": TOKEN})
        assert "Secure" in entry.headers["set-cookie"]
        assert ui.post("/graphql", json=MUTATION, headers={"Origin": public}).status_code == 200
        plain = {"Origin": "http://rag.example.org"}
        assert ui.post("/graphql", json=MUTATION, headers=plain).status_code == 403


@pytest.mark.parametrize("token", ["short", "x" * 30 + "\n", "ä" * 30])
def test_a_weak_token_is_refused(place: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_HOME", str(place))
    monkeypatch.setenv("RAG_UI_TOKEN", token)
    with pytest.raises(SettingsError, match="RAG_UI_TOKEN"):
        load_settings()
