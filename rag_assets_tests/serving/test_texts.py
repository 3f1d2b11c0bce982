"""Strings that no store and no answer can hold are refused on every route, before it is reached."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from rag_assets.answers.feedback import feedback_cases
from rag_assets.serving.app import create_app
from rag_assets.serving.service import Service
from rag_assets.serving.texts import unreadable
from rag_assets_tests.serving.every_route import routes_of

URL = "http://127.0.0.1"
BROKEN = ["\ud800", "a\udfffb", "\0", "x\0"]


@pytest.fixture(scope="module")
def http(kept_service: Service) -> Iterator[TestClient]:
    app = create_app(kept_service)
    with TestClient(app, base_url=URL, raise_server_exceptions=False) as client:
        yield client


def sent(http: TestClient, path: str, body: object) -> Response:
    """As ASCII: httpx itself cannot write half of a pair."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    return http.post(path, content=json.dumps(body), headers=headers)


def bodies(broken: str) -> dict[str, list[dict[str, Any]]]:
    """Of each route that reads one: the bodies that hold a broken string, each elsewhere."""
    turn = {"role": "user", "content": broken}
    call = {"name": "search", "arguments": {"query": broken}}
    return {
        "/v1/answers": [
            {"question": broken},
            {"question": "a", "mode": broken},
            {"question": "a", "filters": {"source": [broken]}},
            {"question": "a", "filters": {broken: ["a"]}},
            {"question": "a", "messages": [turn]},
            {"question": "a", "stream": True, "messages": [{"role": broken}]},
        ],
        "/v1/chat/completions": [
            {"messages": [turn]},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": broken}]}]},
            {"messages": [{"role": "user", "content": "a"}], "user": broken},
            {"messages": [{"role": "user", "content": "a"}], "model": broken},
            {"messages": [{"role": "user", "content": "a"}], broken: 1},
        ],
        "/v1/search": [{"question": broken}, {"question": "a", "filters": {"since": broken}}],
        "/v1/feedback": [
            {"answer_id": broken, "verdict": "right"},
            {"answer_id": "a", "verdict": broken},
            {"answer_id": "a", "verdict": "wrong", "expected": broken},
        ],
        "/page/key": [{"key": broken}],
        "/mcp": [{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}],
    }


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_strings_are_refused_wherever_they_stand(http: TestClient, broken: str) -> None:
    for path, of_path in bodies(broken).items():
        for body in of_path:
            response = sent(http, path, body)
            assert response.status_code == 400, (path, body, response.text)
            assert "expected text" in response.json()["error"]["message"]


def test_each_route_refuses_them(http: TestClient, kept_service: Service) -> None:
    for method, path in routes_of(create_app(kept_service)):
        told = http.request(method, path, content=json.dumps({"new": "\ud800"}))
        assert told.status_code < 500, (method, path, told.text)
        if method == "POST":
            assert "expected text" in told.json()["error"]["message"], path
        for odd in (f"{path}?n=%00", f"{path}?n=%ED%A0%80", f"{path}%00", f"{path}%ED%A0%80"):
            assert http.request(method, odd).status_code < 500, (method, odd)
        nul = http.request(method, f"{path}?n=%00")
        assert nul.status_code == 400, (method, path)


def test_nothing_broken_is_kept(http: TestClient, kept_service: Service) -> None:
    answer = http.post("/v1/answers", json={"question": "When was MV Tern built?"}).json()
    body = {"answer_id": answer["answer_id"], "verdict": "wrong", "expected": "\ud800"}
    assert sent(http, "/v1/feedback", body).status_code == 400
    assert list(feedback_cases(kept_service.store)) == []
    body["expected"] = "2003 \U0001f6a2"  # a pair of surrogates is one character
    told = sent(http, "/v1/feedback", body)
    assert told.status_code == 200, told.text
    (case,) = feedback_cases(kept_service.store)
    assert "\U0001f6a2" in str(case)


@pytest.mark.parametrize("path", ["/v1/answers", "/page/key", "/mcp", "/v1/feedback"])
@pytest.mark.parametrize(
    "body",
    [
        b"[" * 400_000,
        b'{"question": ' * 60_000,
        b'{"question": ' + b"9" * 50_000 + b"}",
        b"\xff\xfe\xfd",
        b'"\xed\xa0\x80"',
        b'{"question": NaN}',
        b"",
        b"null",
    ],
)
def test_no_json_fails_the_answerer(http: TestClient, path: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    response = http.post(path, content=body, headers=headers)
    assert 400 <= response.status_code < 500, response.text


def test_what_is_readable_passes() -> None:
    for body in (b"", b"{", b"hello", b'{"a": ["\\ud83d\\udea2", {"b": 1.5}]}', '"ü"'.encode()):
        assert unreadable(body) == ""
    assert "nested" in unreadable(b"[" * 400_000)
