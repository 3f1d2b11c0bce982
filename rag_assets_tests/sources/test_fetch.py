import gzip
import socket
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from rag_assets.sources import fetch
from rag_assets.sources.fetch import (
    FailedError,
    Fetcher,
    RefusedError,
    Response,
    Validators,
    inflate,
)
from rag_assets_tests.sources.site import Site


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    with Fetcher("test-agent", allow_private=True) as made:
        yield made


def get(fetcher: Fetcher, url: str, max_bytes: int = 10_000, **more: object) -> Response:
    return fetcher.get(
        httpx.URL(url), admit=lambda url: None, max_bytes=max_bytes,
        validators=more.get("validators"),  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_page(fetcher: Fetcher, site: Site) -> None:
    site.page("/a?x=%20y", "text", ETag='"1"')
    found = get(fetcher, f"{site.url}/a?x=%20y")
    assert (found.status, found.data, found.headers["etag"]) == (200, b"text", '"1"')
    assert found.url == f"{site.url}/a?x=%20y"
    assert site.headers[0]["user-agent"] == "test-agent"
    assert site.headers[0]["host"] == site.host


def test_condition_is_sent_to_the_url_that_it_is_of(fetcher: Fetcher, site: Site) -> None:
    site.page("/a", "text", ETag='"1"')
    site.page("/b", status=302, Location="/a")
    url = f"{site.url}/a"
    assert get(fetcher, url, validators=Validators(url, '"1"', None)).status == 304
    assert get(fetcher, f"{site.url}/b", validators=Validators(url, '"1"', None)).status == 304
    other = Validators(f"{site.url}/b", '"1"', "Sun, 01 Nov 2026 00:00:00 GMT")
    assert get(fetcher, url, validators=other).status == 200
    assert "if-modified-since" not in site.headers[-1]


def test_redirects_are_followed_and_each_is_admitted(fetcher: Fetcher, site: Site) -> None:
    site.page("/0", status=301, Location="1")
    site.page("/1", status=307, Location=f"{site.url}/2#part")
    site.page("/2", "there")
    admitted: list[str] = []
    found = fetcher.get(
        httpx.URL(f"{site.url}/0"), admit=lambda url: admitted.append(url.path), max_bytes=100
    )
    assert (found.data, found.url, admitted) == (b"there", f"{site.url}/2", ["/0", "/1", "/2"])


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("/0", "redirects more than 5 times"),
        ("ftp://127.0.0.1/x", "not http"),
        ("file:///etc/passwd", "not http"),
        ("http://[::1", "no URL"),
    ],
)
def test_redirects_that_lead_nowhere(
    fetcher: Fetcher, site: Site, target: str, message: str
) -> None:
    site.page("/0", status=302, Location=target)
    with pytest.raises(RefusedError, match=message):
        get(fetcher, f"{site.url}/0")
    assert len(site.asked) <= fetch.MAX_REDIRECTS + 1


def test_private_addresses_are_refused_on_each_hop(site: Site) -> None:
    site.page("/0", "secret")
    with Fetcher("t", allow_private=False) as fetcher, pytest.raises(FailedError, match="public"):
        get(fetcher, f"{site.url}/0")
    assert site.asked == []


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        time.sleep(0.02)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    for _ in range(100):
        handler.wfile.write(b"H" if handler.close_connection else b"HTTP/1.0 200 OK\r\nX-")
        handler.close_connection = True
        handler.wfile.flush()
        time.sleep(0.02)


def stall(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(2)


@pytest.mark.parametrize("slow", [drip, drip_headers, stall])
def test_a_server_that_drips_is_left(
    fetcher: Fetcher, site: Site, monkeypatch: pytest.MonkeyPatch, slow: object
) -> None:
    monkeypatch.setattr(fetch, "DEADLINE_S", 0.3)
    site.pages["/slow"] = slow  # type: ignore[assignment]
    with pytest.raises(FailedError, match="in time"):
        get(fetcher, f"{site.url}/slow")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(10_000):
        handler.wfile.write(b"x" * 1000)


def test_too_large_is_refused_without_reading_it_all(fetcher: Fetcher, site: Site) -> None:
    site.pages["/endless"] = endless
    site.page("/declared", b"x" * 10_001)
    site.page("/just", b"x" * 10_000)
    for path in ("/endless", "/declared"):
        with pytest.raises(RefusedError, match="more than the 10,000 bytes"):
            get(fetcher, site.url + path)
    assert len(get(fetcher, f"{site.url}/just").data) == 10_000


def test_compressed_answers(fetcher: Fetcher, site: Site) -> None:
    site.page("/gzip", gzip.compress(b"text"), Content_Encoding="gzip")
    site.page("/deflate", zlib.compress(b"text"), Content_Encoding="deflate")
    site.page("/bomb", gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")
    site.page("/cut", gzip.compress(b"text")[:-3], Content_Encoding="gzip")
    site.page("/lie", b"no gzip", Content_Encoding="gzip")
    site.page("/br", b"...", Content_Encoding="br")
    assert get(fetcher, f"{site.url}/gzip").data == b"text"
    assert get(fetcher, f"{site.url}/deflate").data == b"text"
    with pytest.raises(RefusedError, match="more than"):
        get(fetcher, f"{site.url}/bomb")
    for path in ("/cut", "/lie", "/br"):
        with pytest.raises(FailedError, match="compressed"):
            get(fetcher, site.url + path)


def test_half_an_answer_is_no_answer(fetcher: Fetcher, site: Site) -> None:
    def half(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"only this")

    site.pages["/half"] = half
    with pytest.raises(FailedError, match="cannot be reached"):
        get(fetcher, f"{site.url}/half")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Key and certificate of "localhost", the only one that is trusted."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path / "localhost.pem"
    path.write_bytes(private + made.public_bytes(pem))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def test_https_checks_the_name_that_was_asked_for(site: Site, certificate: Path) -> None:
    site.page("/a", "text")
    site.speak_tls(certificate)
    port = site.host.rpartition(":")[2]
    with Fetcher("t", allow_private=True) as fetcher:
        assert get(fetcher, f"https://localhost:{port}/a").data == b"text"
        with pytest.raises(FailedError, match="certificate"):
            get(fetcher, f"https://127.0.0.1:{port}/a")


def test_nobody_there(fetcher: Fetcher) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(FailedError, match="cannot be reached"):
        get(fetcher, f"http://127.0.0.1:{port}/")
    with pytest.raises(FailedError, match="no address"):
        get(fetcher, "http://nowhere.invalid/")


def test_inflate_has_a_bound() -> None:
    assert inflate([gzip.compress(b"x" * 100)], 100) == b"x" * 100
    with pytest.raises(RefusedError):
        inflate([gzip.compress(b"x" * 101)], 100)


def test_no_more_than_the_bound_is_ever_inflated() -> None:
    bomb = gzip.compress(bytes(20_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(RefusedError):
            inflate([bomb], 10_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
