"""All routes of an application, those of the page too, with something in the place of each name."""

import re
from collections.abc import Iterator

from fastapi import FastAPI
from starlette.routing import Route

from rag_assets.serving.page import FILES

_NAMED = re.compile(r"\{[^}]*\}")
JSON = b"application/json"


def routes_of(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of each; new ones are among them by themselves."""
    for route in app.router.routes:
        assert isinstance(route, Route), f"expected routes alone, got {route!r}"
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, _NAMED.sub("1", route.path)
    yield from (("GET", path) for path in ("/", *(f"/page/{name}" for name in FILES)))
    yield from (("POST", path) for path in ("/page/key", "/page/leave", "/no/such/route"))
