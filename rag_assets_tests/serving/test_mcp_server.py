"""MCP with the package's own client: over HTTP in the application, and over stdio."""

import json
import os
import shlex
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from fastapi.testclient import TestClient
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult

from rag_assets.answers.journal import find_answer
from rag_assets.serving import documents
from rag_assets.serving.app import Service, create_app
from rag_assets.serving.mcp_server import url_of
from rag_assets.telemetry import Traces
from rag_assets_tests.serving.listening import listening
from rag_assets_tests.serving.test_keys import BUILT, RULES, URL, access, tells_of_tern
from rag_assets_tests.serving.test_process import answerer, wait_until

__all__ = ["access"]

Talk = Callable[[Client], Awaitable[None]]
TOOLS = ["ask", "fetch", "list_sources", "search"]


def talk(
    service: Service,
    said: Talk,
    key: str = "",
    mode: str = "auto",
    traces: Traces | None = None,
    **headers: str,
) -> None:
    """Talk to the application's own server, as a client that comes with a key."""
    if key:
        headers["Authorization"] = f"Bearer {key}"

    @asynccontextmanager
    async def connected() -> AsyncIterator[Client]:
        app = create_app(service, traces)
        transport = httpx2.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, headers=headers) as http,
            Client(streamable_http_client(f"{URL}/mcp", http_client=http), mode=mode) as client,
        ):
            yield client

    async def run() -> None:
        async with connected() as client:
            await said(client)

    anyio.run(run)


def content(result: CallToolResult) -> dict[str, Any]:
    """What a tool gave; its one text says the same as JSON."""
    (text,) = result.content
    assert text.type == "text"
    assert not result.is_error, text.text
    told: dict[str, Any] = json.loads(text.text)
    assert told == result.structured_content
    return told


async def refused(client: Client, tool: str, **arguments: object) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_tools_read_alone_and_have_the_shapes_of_connectors(service: Service, mode: str) -> None:
    async def said(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert sorted(tool.name for tool in tools) == TOOLS
        for tool in tools:
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint
            assert tool.output_schema
        search = next(tool for tool in tools if tool.name == "search")
        assert search.input_schema["required"] == ["query"]
        found = content(await client.call_tool("search", {"query": "MV Tern built"}))
        best = found["results"][0]
        assert (best["title"], best["url"]) == ("MV Tern", "fleet:tern.html")
        whole = content(await client.call_tool("fetch", {"id": best["id"]}))
        assert whole.keys() == {"id", "title", "text", "url", "metadata"}
        assert "built in 2003" in whole["text"]
        assert "Passengers 180" in whole["text"]
        assert whole["metadata"]["is_whole"]
        sources = content(await client.call_tool("list_sources", {}))["sources"]
        assert [(one["name"], one["documents"]) for one in sources] == [("fleet", 3)]

    talk(service, said, mode=mode)


def test_an_answer_is_cited_and_journalled(service: Service, access: Path) -> None:
    async def said(client: Client) -> None:
        answer = content(await client.call_tool("ask", {"question": BUILT}))
        assert "2003" in answer["answer"]
        assert answer["citations"][0]["url"] == "fleet:tern.html"
        assert find_answer(service.store, answer["answer_id"])["asker"] == "ada"
        none = {"question": BUILT, "sources": ["nowhere"]}
        assert content(await client.call_tool("ask", none))["abstained"]

    talk(service, said, "ada")


def test_a_caller_reads_what_the_key_may(service: Service, access: Path) -> None:
    ids: list[str] = []

    async def permitted(client: Client) -> None:
        found = content(await client.call_tool("search", {"query": "Solvik Marine"}))
        ids.extend(one["id"] for one in found["results"] if one["title"] == "MV Tern")
        assert tells_of_tern(found)

    async def forbidden(client: Client) -> None:
        found = content(await client.call_tool("search", {"query": "Solvik Marine"}))
        assert not tells_of_tern(found)
        assert not tells_of_tern(content(await client.call_tool("ask", {"question": BUILT})))
        hidden = await refused(client, "fetch", id=ids[0])
        absent = await refused(client, "fetch", id="absent")
        assert hidden.replace(ids[0], "absent") == absent
        sources = content(await client.call_tool("list_sources", {}))["sources"]
        assert [(one["name"], one["documents"]) for one in sources] == [("fleet", 2)]

    talk(service, permitted, "ada")
    assert ids
    talk(service, forbidden, "eve")


def test_failures_are_sentences(service: Service, empty_service: Service) -> None:
    async def said(client: Client) -> None:
        assert "the question is empty" in await refused(client, "search", query="?")
        assert "between 1 and 50" in await refused(client, "search", query="a ferry", limit=99)
        assert "mode must be one of" in await refused(client, "ask", question="Why?", mode="x")
        wrong = await refused(client, "search", query="a ferry", since="soon")
        assert "expected a day such as 2024" in wrong

    talk(service, said)


def test_strangers_and_pages_of_others_are_refused(service: Service, access: Path) -> None:
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Accept": "application/json, text/event-stream", "Authorization": "Bearer ada"}
    with TestClient(create_app(service), base_url=URL) as http:
        assert http.post("/mcp", json=ping, headers=headers).status_code == 200
        own = {**headers, "Origin": URL}
        assert http.post("/mcp", json=ping, headers=own).status_code == 200
        stranger = http.post("/mcp", json=ping, headers={**headers, "Authorization": "Bearer x"})
        assert stranger.status_code == 401
        assert stranger.headers["WWW-Authenticate"] == "Bearer"
        foreign = http.post("/mcp", json=ping, headers={**headers, "Origin": "http://evil.org"})
        assert foreign.status_code == 403
        named = http.post("/mcp", json=ping, headers={**headers, "Host": "evil.org"})
        assert named.status_code == 400
        assert http.get("/mcp", headers=headers).status_code == 405


def test_over_http_documents_are_read_by_whom_they_are_for(
    service: Service, access: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TestClient(create_app(service), base_url=URL) as http:

        def get(path: str, key: str) -> Any:  # noqa: ANN401 - a response
            return http.get(path, headers={"Authorization": f"Bearer {key}"})

        found = http.post(
            "/v1/search", json={"question": "Solvik"}, headers={"Authorization": "Bearer ada"}
        ).json()
        best = found["hits"][0]
        whole = get(f"/v1/documents/{best['document_id']}", "ada").json()
        assert whole["uri"] == "fleet:tern.html"
        assert whole["aliases"] == []  # a copy that nobody may read
        monkeypatch.setattr(documents, "MOST_CHARS", 80)
        part = get(f"/v1/documents/{best['chunk_id']}", "ada").json()
        assert (part["is_whole"], "Solvik" in part["text"]) == (False, True)
        hidden = get(f"/v1/documents/{best['chunk_id']}", "eve")
        absent = get("/v1/documents/absent", "eve")
        assert hidden.status_code == absent.status_code == 404
        assert hidden.text.replace(best["chunk_id"], "absent") == absent.text
        (source,) = get("/v1/sources", "eve").json()["sources"]
        assert (source["name"], source["documents"]) == ("fleet", 2)


def test_over_stdio_nothing_else_is_printed(tmp_path: Path) -> None:
    (tmp_path / "sources.yaml").write_text("sources: {}\n")
    (tmp_path / "access.yaml").write_text(RULES)
    with answerer(tmp_path) as (_, running):
        place = {
            "RAG_HOME": str(tmp_path),
            "RAG_ANSWERER_PORT": running.url.rpartition(":")[2],
            "RAG_KEY": "ada",
        }
        printed = tmp_path / "printed"
        line = f"{shlex.quote(sys.executable)} -m rag_assets mcp | tee {shlex.quote(str(printed))}"
        command = StdioServerParameters(
            command="sh", args=["-c", line], env={**os.environ, **place}
        )

        async def said() -> None:
            async with Client(stdio_client(command)) as client:
                tools = (await client.list_tools()).tools
                assert sorted(tool.name for tool in tools) == TOOLS
                found = content(await client.call_tool("search", {"query": "Solvik Marine"}))
                best = found["results"][0]
                assert best["title"] == "MV Tern"
                fetched = content(await client.call_tool("fetch", {"id": best["id"]}))
                assert "Solvik" in fetched["text"]
                answer = content(await client.call_tool("ask", {"question": BUILT}))
                assert "2003" in answer["answer"]
                sources = content(await client.call_tool("list_sources", {}))["sources"]
                assert [(one["name"], one["documents"]) for one in sources] == [("fleet", 3)]
                assert "there is no document" in await refused(client, "fetch", id="absent")

        anyio.run(said)
        messages = [json.loads(line) for line in printed.read_text().splitlines()]
        assert len(messages) > 5
        assert all(message["jsonrpc"] == "2.0" for message in messages)


def test_pages_of_the_web_have_their_own_address() -> None:
    assert url_of("site:https://example.org/a?b=c") == "https://example.org/a?b=c"
    assert url_of("docs:a/b.md") == "docs:a/b.md"


def test_who_leaves_gives_up_the_place_in_the_queue(service: Service) -> None:
    params = {"name": "ask", "arguments": {"question": BUILT}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"Accept": "application/json, text/event-stream"}
    with ExitStack() as held, listening(service, lifespan="on") as url:
        for _ in range(service.gate.n_running):
            held.enter_context(service.gate.admitted())
        with pytest.raises(httpx2.ReadTimeout):
            httpx2.post(f"{url}/mcp", json=call, headers=headers, timeout=2)
        wait_until(lambda: service.gate.waiting == 0)
