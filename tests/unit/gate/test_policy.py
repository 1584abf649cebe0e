"""The gate's decisions and its name server, without a gate."""

from __future__ import annotations

import struct
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import domains
from freehold.core.addresses import parse_network
from freehold.gate import dns
from freehold.gate.policy import NOTHING, Policy, covers, host_of, plain
from freehold.gate.resolving import Inward, Rules, Unresolved, outside

LABEL = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)


def query(name: str, kind: int = dns.A) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return b"id" + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + labels + struct.pack("!xHH", kind, 1)


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Example.COM", "example.com"),
        ("example.com.:443", "example.com"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        *[
            (bad, None)
            for bad in ("", "a b", "a@b", "a,b", "a/b", "a:b", "[x]", ":80", "a%2eb", ".")
        ],
    ],
)
def test_the_host_of_an_authority(authority: str, host: str | None) -> None:
    assert host_of(authority) == host


@given(domain=NAME, below=NAME)
def test_a_wildcard_covers_what_is_below_a_domain_and_not_the_domain(
    domain: str, below: str
) -> None:
    assert covers(f"*.{domain}", f"{below}.{domain}")
    assert not covers(f"*.{domain}", domain)
    assert not covers(f"*.{domain}", f"x{domain}")
    assert not covers(domain, f"{below}.{domain}")
    assert covers(domain, domain)


@given(entry=st.one_of(NAME, NAME.map("*.{}".format)), host=NAME)
def test_gate_and_server_agree(entry: str, host: str) -> None:
    assert covers(plain(entry), plain(host)) == domains.covers(entry, host)


def test_policies() -> None:
    limited = Policy.parse({"type": "limited", "hosts": ["A.test", "*.B.test"]})
    assert limited.refusal("a.test") is None
    assert limited.refusal("x.b.test") is None
    assert limited.refusal("b.test") == "Host not in allowlist: b.test"
    assert Policy.parse({"type": "unrestricted"}).refusal("any.test") is None
    assert NOTHING.refusal("a.test") is not None
    for bad in ({}, {"type": "limited"}, {"type": "limited", "hosts": "a"}, {"hosts": []}):
        with pytest.raises(ValueError, match="a policy is"):
            Policy.parse(bad)


def test_a_name_query_is_answered() -> None:
    asked = dns.parse(query("Some.Name.test"))
    assert asked is not None
    assert (asked.name, asked.kind) == ("some.name.test", dns.A)
    reply = dns.answer(asked, ("198.18.0.1",))
    assert reply[:2] == b"id"
    assert struct.unpack("!HHHHH", reply[2:12]) == (0x8180, 1, 1, 0, 0)
    assert reply.endswith(ip_address("198.18.0.1").packed)
    for kind in (dns.AAAA, 16, 65):
        other = dns.parse(query("some.name.test", kind))
        assert other is not None
        assert struct.unpack("!HHHHH", dns.answer(other, ("198.18.0.1",))[2:12])[2] == 0


@given(data=st.binary(max_size=600))
def test_no_bytes_break_the_name_server(data: bytes) -> None:
    asked = dns.parse(data)
    assert asked is None or dns.answer(asked, ("1.2.3.4",))[:2] == data[:2]


async def test_addresses_of_the_machine_stay_closed_in_trusted_ranges() -> None:
    rules = Rules()
    for host in ("10.1.2.3", "169.254.169.254", "127.0.0.1", "::1", "64:ff9b::a01:203"):
        with pytest.raises(Inward):
            await outside(rules, host, 80)
    assert await outside(rules, "93.184.216.34", 80) == ("93.184.216.34",)
    rules.trusted = (parse_network("10.0.0.0/8"), parse_network("169.254.0.0/16"))
    rules.own = frozenset({ip_address("10.9.9.9")})
    assert await outside(rules, "10.1.2.3", 80) == ("10.1.2.3",)
    for host in ("10.9.9.9", "169.254.169.254"):
        with pytest.raises(Inward):
            await outside(rules, host, 80)


async def test_a_name_that_leads_nowhere() -> None:
    with pytest.raises(Unresolved):
        await outside(Rules(), "a" * 80 + ".invalid", 80)
