"""Connections to public addresses only, so that a page cannot make us call a host of our network.

A web source's list and its redirects are written by others. The address is checked where the
connection is made, not in the URL. That also covers names that resolve to private addresses, hosts
written as numbers, and a name that resolves differently the second time.
"""

import ipaddress
import socket
import time
from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore

from rag_assets.errors import RagError

NAT64 = ipaddress.ip_network("64:ff9b::/96")
UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that is routed publicly so far
METADATA = [
    ipaddress.ip_network(of)
    for of in (
        "169.254.0.0/16",  # AWS, Google, Azure and most others
        "fe80::/10",
        "168.63.129.16/32",  # Azure; a public address
        "100.100.100.200/32",  # Alibaba
        "192.0.0.192/32",  # Oracle
        "fd00:ec2::/32",  # AWS
        "fd20:ce::/32",  # Google
    )
]


class ForbiddenAddressError(RagError):
    """A host has an address that is not public."""


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet; so must be one that it carries."""
    ip = _plain(address)
    if isinstance(ip, ipaddress.IPv6Address) and ip not in UNICAST:
        return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not is_metadata(address)


def is_metadata(address: str) -> bool:
    """Whether a cloud answers there with what a machine may do: no page is, in no network."""
    ip = _plain(address)
    return any(ip in network for network in METADATA)


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address, or the one of IPv4 that it carries."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    carried = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    if carried is None and (ip in NAT64 or 1 < int(ip) < 1 << 32):
        carried = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip if carried is None else carried


def addresses_of(host: str, port: int) -> list[str]:
    """All addresses of a host, as the system resolves it, the preferred one first.

    Raises:
        httpcore.ConnectError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"host {host} has no address: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.NetworkBackend):
    """Sockets for httpcore: public peers only or all, a response within one deadline."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.SyncBackend()
        self.deadline = float("inf")  # of what is going on now, on time.monotonic()'s clock

    def left(self, timeout: float | None) -> float:
        """Seconds that the next step may take.

        Raises:
            httpcore.ReadTimeout: the deadline is over.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("took too long altogether")
        return left if timeout is None else min(left, timeout)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers.

        Raises:
            ForbiddenAddressError: one of the host's addresses is not public, or a cloud's own.
            httpcore.ConnectError: no address answers.
        """
        addresses = addresses_of(host, port)
        if closed := [one for one in addresses if is_metadata(one)]:
            raise ForbiddenAddressError(
                f"{host} has the address {closed[0]}, where clouds tell machines their secrets; it "
                "is never asked"
            )
        private = [] if self._allow_private else [one for one in addresses if not is_public(one)]
        if private:
            raise ForbiddenAddressError(
                f"{host} has the address {private[0]}, which is not public; if it is yours to "
                "ask, set 'web: {allow_private: true}' for this source"
            )
        for n, address in enumerate(addresses):
            try:
                stream = self._inner.connect_tcp(
                    address, port, self.left(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if n == len(addresses) - 1:
                    raise
            else:
                return _TimedStream(stream, self)
        raise httpcore.ConnectError(f"host {host} has no address")

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Refuse: a socket file is on this machine."""
        raise ForbiddenAddressError(f"{path} is a socket on this machine")


class _TimedStream(httpcore.NetworkStream):
    # A read's own timeout begins anew with each byte; a server that drips would never end.
    def __init__(self, inner: httpcore.NetworkStream, backend: GuardedBackend) -> None:
        self._inner = inner
        self._backend = backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._backend.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._backend.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, self._backend.left(timeout))
        return _TimedStream(stream, self._backend)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - httpcore's signature
        return self._inner.get_extra_info(info)
