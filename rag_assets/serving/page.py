"""The page at ``/``: one HTML file, one module and one style sheet, and what they may do."""

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, Response

from rag_assets.answers.policy import MODES

FOLDER = Path(__file__).parent / "page_files"
FILES = {
    "page.js": "text/javascript",
    "page.css": "text/css",
    "icon.svg": "image/svg+xml",
}
# The page loads nothing from elsewhere, and no text becomes markup or code.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
_OF_PAGE = {
    **GUARDS,
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_OF_FILES = {**GUARDS, "Cache-Control": "public, max-age=31536000, immutable"}


def page_file(path: str) -> Response | None:
    """The page or a file of it; None if the path names neither."""
    if path == "/":
        return HTMLResponse(_html(), headers=_OF_PAGE)
    name = path.removeprefix("/page/")
    if path.startswith("/page/") and name in FILES:
        return Response(_read(name), media_type=FILES[name], headers=_OF_FILES)
    return None


@cache
def _read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


@cache
def _html() -> str:
    environment = Environment(
        autoescape=select_autoescape(default=True), undefined=StrictUndefined, trim_blocks=True
    )
    addresses = {
        name: f"/page/{name}?{hashlib.sha256(_read(name)).hexdigest()[:12]}" for name in FILES
    }
    template = environment.from_string(_read("page.html.j2").decode())
    return template.render(files=addresses, modes=MODES)
