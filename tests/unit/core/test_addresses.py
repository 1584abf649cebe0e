from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.addresses import METADATA, carried, inward, parse_address, parse_network

LOOPBACK = parse_network("127.0.0.0/8")
EVERYTHING = (parse_network("0.0.0.0/0"), parse_network("::/0"))


@given(st.ip_addresses(v=4))
def test_whatever_python_calls_not_global_is_inward(address: ipaddress.IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert inward(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_inward_as_the_one_it_carries(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    translated = ipaddress.IPv6Address(f"64:ff9b::{address}")
    isatap = ipaddress.IPv6Address(f"2606:2800:220:1:0:5efe:{address}")
    for carrier in (mapped, translated, isatap):
        assert carried(carrier) == (address,)
        assert inward(carrier) == inward(address)
        assert inward(carrier, [LOOPBACK]) == inward(address, [LOOPBACK])


@given(st.ip_addresses(v=6))
def test_only_global_unicast_is_outside(address: ipaddress.IPv6Address) -> None:
    if not inward(address):
        assert address in ipaddress.ip_network("2000::/3") or carried(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "223.255.255.255"]
)
def test_the_public_web_is_outside(address: str) -> None:
    assert not inward(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", sorted(map(str, METADATA)))
def test_no_trust_opens_metadata(address: str) -> None:
    assert inward(ipaddress.ip_address(address), EVERYTHING)
    if ":" not in address:
        assert inward(ipaddress.ip_address(f"::ffff:{address}"), EVERYTHING)


def test_trust_opens_its_range_alone() -> None:
    assert not inward(ipaddress.ip_address("127.0.0.1"), [LOOPBACK])
    assert not inward(ipaddress.ip_address("::ffff:127.0.0.1"), [LOOPBACK])
    assert inward(ipaddress.ip_address("10.0.0.1"), [LOOPBACK])
    assert inward(ipaddress.ip_address("::1"), [LOOPBACK])
    assert not inward(ipaddress.ip_address("fd00::1"), [parse_network("fd00::/8")])


def test_an_address_of_one_link_is_inward() -> None:
    assert inward(ipaddress.ip_address("2606:4700::1111%eth0"))


def test_what_6to4_and_teredo_carry() -> None:
    assert carried(ipaddress.ip_address("2002:7f00:1::")) == (ipaddress.IPv4Address("127.0.0.1"),)
    server, client = carried(ipaddress.ip_address("2001:0:7f00:1::f5ff:fffe"))
    assert (str(server), str(client)) == ("127.0.0.1", "10.0.0.1")
    assert carried(ipaddress.ip_address("1.2.3.4")) == ()


def test_parsing() -> None:
    assert str(parse_network(" 10.1.2.3 ")) == "10.1.2.3/32"
    with pytest.raises(ValueError, match="host bits"):
        parse_network("10.0.0.1/8")
    assert parse_address("example.com") is None
    assert str(parse_address("::1")) == "::1"
