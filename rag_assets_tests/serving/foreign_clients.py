"""LlamaIndex and LangChain against an answerer: ``python foreign_clients.py http://host:port/v1``.

They are installed in an environment of their own, as they bring many packages::

    uv venv clients
    uv pip install --python clients/bin/python llama-index-llms-openai-like langchain-openai
    RAG_CLIENTS_PYTHON=clients/bin/python pytest rag_assets_tests/serving/test_foreign_clients.py

It prints a JSON object: what each client made of an answer, whole and streamed, and of an error.
"""

import asyncio
import json
import sys
from typing import Any

QUESTION = "When was MV Tern built?"


def llama_index(url: str) -> dict[str, Any]:
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai_like import OpenAILike

    def model(name: str) -> Any:  # noqa: ANN401 - of the other environment
        return OpenAILike(
            model=name, api_base=url, api_key="none", is_chat_model=True, context_window=4096,
            max_retries=0,
        )  # fmt: skip

    asked = [ChatMessage(role="user", content=QUESTION)]
    rag = model("rag-auto")
    whole = rag.chat(asked)
    return {
        "whole": whole.message.content,
        "citations": len(whole.raw.model_extra["citations"]),
        "streamed": "".join(part.delta or "" for part in rag.stream_chat(asked)),
        "async": asyncio.run(rag.achat(asked)).message.content,
        "complete": rag.complete(QUESTION).text,
        "error": error_of(lambda: model("gpt-4").chat(asked)),
    }


def langchain(url: str) -> dict[str, Any]:
    from langchain_openai import ChatOpenAI

    def model(name: str) -> Any:  # noqa: ANN401 - of the other environment
        return ChatOpenAI(
            model=name, base_url=url, api_key="none", max_retries=0, stream_usage=True,
            max_completion_tokens=200,
        )  # fmt: skip

    rag = model("rag-auto")
    whole = rag.invoke([("system", "Be brief."), ("human", QUESTION)])
    parts = list(rag.stream(QUESTION))
    return {
        "whole": whole.content,
        "usage": whole.usage_metadata["total_tokens"],
        "streamed": "".join(part.content for part in parts),
        "streamed_usage": sum((part.usage_metadata or {}).get("total_tokens", 0) for part in parts),
        "async": asyncio.run(rag.ainvoke(QUESTION)).content,
        "error": error_of(lambda: model("gpt-4").invoke(QUESTION)),
        "tools": error_of(lambda: rag.bind_tools([{"type": "function", "function": {
            "name": "f", "parameters": {"type": "object", "properties": {}}
        }}]).invoke(QUESTION)),
    }  # fmt: skip


def error_of(ask: Any) -> dict[str, Any]:  # noqa: ANN401 - of the other environment
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - which it is, is asked
        return {name: getattr(error, name, None) for name in ("code", "param", "status_code")}
    return {}


if __name__ == "__main__":
    url = sys.argv[1]
    sys.stdout.write(json.dumps({"llama_index": llama_index(url), "langchain": langchain(url)}))
