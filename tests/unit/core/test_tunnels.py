"""The domains of tunnels: one for each, known as what they are, and nobody else's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core import ids
from freehold.core.tunnels import DOMAIN, HOSTED, domain_of, is_tunnelled

TUNNELS = st.builds(
    ids.encode,
    st.just("tnl"),
    st.integers(0, (1 << 56) - 1),
    st.binary(min_size=ids.ENTROPY_BYTES, max_size=ids.ENTROPY_BYTES),
)
LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


def test_the_domain_of_a_tunnel_stays_what_it_was() -> None:
    # Clients have it in their agents: another way to make it would cut them off.
    assert domain_of("tnl_013kXq7ZbW2mR9tYvHc4LdPe") == "uwcahxlxdgtegqch.tunnel.freehold.invalid"


@given(TUNNELS, TUNNELS)
def test_every_tunnel_has_a_host_name_of_its_own(one: str, other: str) -> None:
    assert re.fullmatch(rf"[a-z2-7]{{16}}\.{re.escape(DOMAIN)}", domain_of(one))
    assert (domain_of(one) == domain_of(other)) == (one == other)


def test_no_domain_of_a_tunnel_here_resolves() -> None:
    assert DOMAIN.endswith(".invalid")


@given(TUNNELS, HOSTS)
def test_a_tunnel_is_known_however_it_is_written(tunnel: str, label: str) -> None:
    for host in (domain_of(tunnel), f"{label}.{DOMAIN}", f"{label}.{HOSTED}"):
        for written in (host, host.upper(), host.title(), f"{host}."):
            assert is_tunnelled(written)


@given(HOSTS, LABELS)
def test_what_only_looks_like_a_tunnel_is_none(host: str, label: str) -> None:
    host += ".example"
    assert not is_tunnelled(host)
    for domain in (DOMAIN, HOSTED):
        assert is_tunnelled(domain)
        assert not is_tunnelled(label + domain)
        assert not is_tunnelled(f"{domain}.{host}")


@pytest.mark.parametrize(
    "host",
    ["", ".", "invalid", "freehold.invalid", "anthropic.com", "tunnel-anthropic.com", "10.0.0.1"],
)
def test_other_hosts_are_reached_as_they_are(host: str) -> None:
    assert not is_tunnelled(host)
