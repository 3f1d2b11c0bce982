import socket

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.sources import addresses
from rag_assets.sources.addresses import ForbiddenAddressError, GuardedBackend, is_public


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1",
        "192.0.2.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::1",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1",
        "fec0::1", "4000::1", "168.63.129.16", "::ffff:168.63.129.16", "100.100.100.200",
        "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "2002:a83f:8110::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "168.63.129.16", "::ffff:169.254.169.254", "fd00:ec2::254"]
)
def test_a_clouds_own_addresses_are_asked_with_no_permission(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "addresses_of", lambda host, port: [address])
    with pytest.raises(ForbiddenAddressError, match="never asked"):
        GuardedBackend(allow_private=True).connect_tcp("wiki.example", 80, timeout=1)


@given(st.ip_addresses(v=4))
def test_an_address_in_ipv6_clothes_is_no_more_public(address: object) -> None:
    assert is_public(f"::ffff:{address}") == is_public(str(address))
    assert is_public(f"64:ff9b::{address}") == is_public(str(address))


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "0x7f.1", "127.1", "0", "::1"]
)
def test_hosts_that_mean_this_machine_are_refused(host: str) -> None:
    try:
        socket.getaddrinfo(host, 80)
    except OSError:
        pytest.skip(f"this system does not resolve {host}")
    with pytest.raises(ForbiddenAddressError, match="allow_private"):
        GuardedBackend(allow_private=False).connect_tcp(host, 80, timeout=1)


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "addresses_of", lambda host, port: ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(ForbiddenAddressError, match=r"10\.0\.0\.1"):
        GuardedBackend(allow_private=False).connect_tcp("example.org", 80, timeout=1)


def test_the_address_that_was_checked_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A name server that answers publicly first and privately then: it is asked once only.
    answers = [["1.1.1.1"], ["127.0.0.1"]]
    connected = []

    class Inner:
        def connect_tcp(self, host: str, *args: object) -> object:
            connected.append(host)
            return object()

    monkeypatch.setattr(addresses, "addresses_of", lambda host, port: answers.pop(0))
    backend = GuardedBackend(allow_private=False)
    monkeypatch.setattr(backend, "_inner", Inner())
    backend.connect_tcp("rebinding.example", 80)
    assert connected == ["1.1.1.1"]


def test_second_address_is_tried_when_the_first_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        backend = GuardedBackend(allow_private=True)
        original = addresses.addresses_of
        try:
            addresses.addresses_of = lambda host, port: ["127.0.0.2", "127.0.0.1"]
            backend.connect_tcp("two.example", port, timeout=1).close()
        finally:
            addresses.addresses_of = original


def test_socket_files_are_refused_and_unknown_hosts_are_an_error() -> None:
    backend = GuardedBackend(allow_private=True)
    with pytest.raises(ForbiddenAddressError):
        backend.connect_unix_socket("/run/x.sock")
    with pytest.raises(httpcore.ConnectError, match="has no address"):
        backend.connect_tcp("nowhere.invalid", 80, timeout=1)
