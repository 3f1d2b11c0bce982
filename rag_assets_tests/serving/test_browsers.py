"""Browsers: the page's files, the cookie in place of a key, no orders from foreign pages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from rag_assets.access.rules import hash_of
from rag_assets.lake.store import LakeStore
from rag_assets.serving.app import create_app
from rag_assets.serving.page import FILES
from rag_assets.serving.service import Service

URL = "http://127.0.0.1"
QUESTION = {"question": "When was MV Tern built?"}
RULES = f"""
keys:
  - {{name: ada, sha256: "{hash_of("ada")}", groups: [crew]}}
  - {{name: eve, sha256: "{hash_of("eve")}"}}
  - {{name: old, sha256: "{hash_of("old")}", expires: 2020-01-01}}
rules: [{{uri: "fleet:tern.html", groups: [crew]}}]
sources: {{fleet: everyone}}
"""


@pytest.fixture
def http(service: Service) -> Iterator[TestClient]:
    with TestClient(create_app(service), base_url=URL, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def guarded(http: TestClient, tmp_path: Path) -> TestClient:
    (tmp_path / "access.yaml").write_text(RULES)
    return http


def let_in(http: TestClient, key: str, **headers: str) -> Response:
    return http.post("/page/key", json={"key": key}, headers=headers)


def test_the_page_needs_no_key_and_tells_nothing(guarded: TestClient) -> None:
    page = guarded.get("/")
    assert page.status_code == 200
    assert "tern" not in page.text.casefold()
    for name in FILES:
        file = guarded.get(f"/page/{name}")
        assert file.status_code == 200
        assert file.content
        assert f"/page/{name}?" in page.text
    assert guarded.get("/page/other.js").status_code == 401


def test_the_page_may_load_and_run_its_own_files_alone(http: TestClient) -> None:
    page = http.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'; trusted-types 'none'" in policy
    assert "<script>" not in page.text
    assert "style=" not in page.text
    assert not re.search(r"<[^>]* on\w+=", page.text)
    code = http.get("/page/page.js").text
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert unsafe not in code


def test_a_key_becomes_a_cookie_that_no_script_reads(guarded: TestClient) -> None:
    assert guarded.post("/v1/answers", json=QUESTION).status_code == 401
    entered = let_in(guarded, " ada\n")
    assert entered.status_code == 200
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie  # http on the loopback interface
    assert "2003" in guarded.post("/v1/answers", json=QUESTION).json()["answer"]
    assert guarded.get("/admin/status").status_code == 404
    assert guarded.post("/page/leave", json={}).status_code == 200
    assert guarded.post("/v1/answers", json=QUESTION).status_code == 401


def test_a_key_that_is_sent_wins_over_the_cookie(guarded: TestClient) -> None:
    let_in(guarded, "ada")
    headers = {"Authorization": "Bearer eve"}
    assert "2003" not in guarded.post("/v1/answers", json=QUESTION, headers=headers).text


@pytest.mark.parametrize("key", ["", "wrong", "old", "x" * 5000, "\u00e4\U0001f600"])
def test_other_keys_are_not_kept(guarded: TestClient, key: str) -> None:
    refused = let_in(guarded, key)
    assert refused.status_code == 401
    assert "Set-Cookie" not in refused.headers
    assert "ask who runs this" in refused.json()["error"]["message"]


@pytest.mark.parametrize("cookie", ["", "%%%", "AAA", "\u00e9"])
def test_a_cookie_of_nobody_is_no_key(guarded: TestClient, cookie: str) -> None:
    headers = {"Cookie": f"rag_key={cookie}".encode("latin-1")}
    assert guarded.get("/v1/sources", headers=headers).status_code == 401


@pytest.mark.parametrize("body", [b"", b"[]", b'{"kee": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_key_is_told_so(guarded: TestClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    assert guarded.post("/page/key", content=body, headers=headers).status_code == 400


def test_a_broken_file_lets_nobody_in(guarded: TestClient, tmp_path: Path) -> None:
    (tmp_path / "access.yaml").write_text("keys: nonsense")
    assert let_in(guarded, "ada").status_code == 503


def test_without_rules_no_key_is_needed(http: TestClient) -> None:
    entered = let_in(http, "anything")
    assert entered.status_code == 200
    assert "Set-Cookie" not in entered.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": URL, "Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/answers", "/v1/feedback", "/admin/reload", "/page/key"])
def test_foreign_pages_give_no_orders(
    http: TestClient, store: LakeStore, headers: dict[str, str], path: str
) -> None:
    refused = http.post(path, json=QUESTION, headers=headers)
    assert refused.status_code == 403
    assert "another site" in refused.json()["error"]["message"]
    assert store.rows("answers") == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": URL},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://rag.example"},  # before a proxy
    ],
)
def test_our_own_page_and_programs_do(http: TestClient, headers: dict[str, str]) -> None:
    assert http.post("/v1/answers", json=QUESTION, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
def test_from_browsers_only_json_is_taken(http: TestClient, kind: str) -> None:
    headers = {"Origin": URL, "Content-Type": kind}
    refused = http.post("/v1/answers", content=b'{"question": "When?"}', headers=headers)
    assert refused.status_code == 415
    assert "application/json" in refused.json()["error"]["message"]
