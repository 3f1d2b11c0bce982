"""A web site on loopback, whose every answer a test decides."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rag_assets_tests.servers import http_server

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Page:
    """What a path answers; with ``validates``, 304 to whoever has its ETag."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    validates: bool = False


class Site:
    """Pages by path (with query), and the requests that came."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.host = f"127.0.0.1:{server.server_address[1]}"
        self.url = f"http://{self.host}"
        self.pages: dict[str, Page | Answer] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []

    def speak_tls(self, certificate: Path) -> None:
        """Serve https from now on, with this key and certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def page(self, path: str, body: str | bytes = b"", status: int = 200, **headers: str) -> None:
        """Set a page; header names are written with _ for -."""
        data = body.encode() if isinstance(body, str) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.pages[path] = Page(data, status, named, validates="ETag" in named)

    def sitemap(self, *paths: str, at: str = "/sitemap.xml") -> None:
        """Set a sitemap that lists these paths."""
        places = "".join(f"<url><loc>{self.url}{path}</loc></url>" for path in paths)
        self.page(at, f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{places}'
                  "</urlset>")  # fmt: skip

    def documents(self, n: int) -> list[str]:
        """Set n pages and the sitemap that lists them; their paths."""
        paths = [f"/docs/{i}.html" for i in range(n)]
        for path in paths:
            self.page(path, f"<html><body><p>Text of {path}.</p></body></html>", ETag=f'"{path}"')
        self.sitemap(*paths)
        return paths


def answer(handler: BaseHTTPRequestHandler, page: Page) -> None:
    """Send a page as a well-behaved server does."""
    etag = page.headers.get("ETag")
    unchanged = page.validates and handler.headers.get("If-None-Match") == etag
    handler.send_response(304 if unchanged else page.status)
    for name, value in page.headers.items():
        handler.send_header(name, value)
    body = b"" if unchanged else page.body
    if not unchanged:
        handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def running() -> Iterator[Site]:
    """A site that serves until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append(self.path)
            site.headers.append({k.lower(): v for k, v in self.headers.items()})
            page = site.pages.get(self.path, Page(b"not here", 404))
            try:
                answer(self, page) if isinstance(page, Page) else page(self)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with http_server(Handler) as server:
        site = Site(server)
        yield site
