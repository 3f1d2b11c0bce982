"""The service behind a real socket, for clients that the tests do not write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import uvicorn

from rag_assets.serving.app import create_app
from rag_assets.serving.listening import HTTP, claim_port
from rag_assets.serving.service import Service


@contextmanager
def listening(service: Service, lifespan: Literal["on", "off"] = "off") -> Iterator[str]:
    """Serve it as long as the body runs; yields its address.

    MCP needs the lifespan.
    """
    listener = claim_port(0)
    app = create_app(service)
    server = uvicorn.Server(uvicorn.Config(app, http=HTTP, log_config=None, lifespan=lifespan))
    serving = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    serving.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        serving.join()
        listener.close()
