"""What holds for each route of the answerer, also for those that are yet to be written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from rag_assets.serving.app import create_app
from rag_assets.serving.live_index import LiveIndex
from rag_assets.serving.page import FILES
from rag_assets.serving.service import Service
from rag_assets_tests.serving.every_route import routes_of
from rag_assets_tests.serving.test_keys import access

__all__ = ["access"]

URL = "http://127.0.0.1"
HOSTS = [b"[", b"]", b"[::1", b"[::1]:x", b"", b"\xff", b"a b", b"a@b", b"//"]
ORIGINS = [b"null", b"", b"[", b"http://[", b"http://[::1", b"\xff", b"http://127.0.0.1:x", b"//["]
KINDS = [b"", b"/", b"json", b"\xff", b"application/json; charset=nothing", b";;;=", b'a/b; c="']
KEYS = [
    b"",
    b"Bearer",
    b"Bearer ",
    b"Bearer \xff",
    b"Basic =",
    b"\xff\xff",
    b"Bearer " + b"k" * 9000,
]
COOKIES = [b"rag_key=%%%", b"rag_key=\xff", b"rag_key=/////w==", b"=;=;;", b"rag_key=a"]
ODD = {
    b"host": HOSTS,
    b"origin": ORIGINS,
    b"content-type": KINDS,
    b"authorization": KEYS,
    b"cookie": COOKIES,
    b"accept": [b"", b"\xff", b"/;q=x", b"text/html"],
    b"content-encoding": [b"gzip", b"\xff"],
    b"sec-fetch-site": [b"\xff", b"cross-site"],
    b"mcp-protocol-version": [b"\xff", b"1"],
    b"mcp-session-id": [b"\xff", b"none"],
    b"last-event-id": [b"\xff"],
    b"x-forwarded-for": [b"[", b"\xff"],
    b"x-forwarded-host": [b"["],
}


@pytest.fixture(scope="module")
def http(kept_service: Service) -> Iterator[TestClient]:
    with TestClient(
        create_app(kept_service), base_url=URL, raise_server_exceptions=False
    ) as client:
        yield client


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("site", [b"", b"same-origin"])
def test_no_header_fails_the_answerer(
    http: TestClient, kept_service: Service, name: bytes, site: bytes
) -> None:
    for method, path in routes_of(create_app(kept_service)):
        for value in ODD[name]:
            headers = {b"content-type": b"application/json", name: value}
            headers |= {b"sec-fetch-site": site} if site else {}
            sent = http.request(method, path, headers=list(headers.items()), content=b"{}")
            assert sent.status_code < 500, (method, path, name, value, sent.text)


@pytest.mark.parametrize("name", [b"authorization", b"cookie"])
def test_no_key_fails_the_answerer(service: Service, access: Path, name: bytes) -> None:
    with TestClient(create_app(service), base_url=URL, raise_server_exceptions=False) as http:
        for value in ODD[name]:
            assert http.get("/v1/models", headers=[(name, value)]).status_code == 401


@pytest.mark.parametrize("site", [b"", b"same-origin"])
def test_odd_names_of_the_server_and_of_pages_are_refused(http: TestClient, site: bytes) -> None:
    for host in HOSTS:
        assert http.get("/v1/models", headers=[(b"host", host)]).status_code == 400, host
    for origin in (b"null", b"http://[", b"http://[::1", b"\xff"):
        headers = [(b"origin", origin), (b"content-type", b"application/json")]
        headers += [(b"sec-fetch-site", site)] if site else []
        assert http.post("/mcp", headers=headers, content=b"{}").status_code == 403, origin


def test_nothing_is_kept_by_browsers_but_the_page(service: Service, access: Path) -> None:
    with TestClient(create_app(service), base_url=URL, raise_server_exceptions=False) as http:
        for method, path in routes_of(create_app(service)):
            is_page = method == "GET" and path in ("/", *(f"/page/{name}" for name in FILES))
            for key in ("ada", "root", "nobody's"):
                headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
                for more in ({}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
                    got = http.request(method, path, headers={**headers, **more}, content=b"{}")
                    kept = got.headers.get("Cache-Control", "")
                    assert is_page or kept == "no-store", (method, path, more, kept)


@pytest.mark.parametrize("path", ["/v1/answers", "/v1/search", "/v1/chat/completions"])
@pytest.mark.parametrize("stream", [False, True])
def test_answers_and_failures_are_not_kept(
    service: Service, path: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn = {"role": "user", "content": "When was MV Tern built?"}
    body: dict[str, object] = {"question": turn["content"], "stream": stream}
    if path.endswith("completions"):
        body = {"messages": [turn], "stream": stream}
    with TestClient(create_app(service), base_url=URL, raise_server_exceptions=False) as http:
        answered = http.post(path, json=body)
        assert (answered.status_code, answered.headers["Cache-Control"]) == (200, "no-store")
        monkeypatch.setattr(LiveIndex, "current", property(lambda _: 1 / 0))
        failed = http.post(path, json=body)
        assert (failed.status_code, failed.headers["Cache-Control"]) == (500, "no-store")
