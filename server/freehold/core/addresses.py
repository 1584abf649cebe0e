"""Which addresses the server may reach on an agent's behalf, and which lead inward.

An agent chooses what ``web_fetch`` connects to, a page chooses what a redirect leads to, and
whoever may create agents chooses MCP servers. So an address counts as outside only if the
registries of special addresses (IANA, RFC 6890 and its successors) leave no doubt; all others are
inside, those that carry an IPv4 address in them by what they carry. The lists stand here and are
not the interpreter's, which differ between its versions.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SPECIAL_4 = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers (CGNAT)
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_GLOBAL_6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)

METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        "169.254.169.254",  # most clouds
        "169.254.170.2",  # credentials of containers at AWS
        "169.254.170.23",
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",
        "fd20:ce::254",  # Google
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle
        "168.63.129.16",  # Azure's host, a public address by its number
    )
)
"""Where clouds give credentials to their machines. No setting opens these."""

LOOPBACK: tuple[Network, ...] = (
    ipaddress.IPv4Network("127.0.0.0/8"),
    ipaddress.IPv6Network("::1/128"),
)
"""This machine."""

BAD_PORTS = frozenset(
    int(port)
    # What browsers refuse (the Fetch standard), then databases, engines and control planes.
    for port in """
        1 7 9 11 13 15 17 19 20 21 22 23 25 37 42 43 53 69 77 79 87 95
        101 102 103 104 109 110 111 113 115 117 119 123 135 137 139 143 161 179
        389 427 465 512 513 514 515 526 530 531 532 540 548 554 556 563 587 601
        636 989 990 993 995 1719 1720 1723 2049 3659 4045 4190 5060 5061 6000 6566
        6665 6666 6667 6668 6669 6679 6697 10080
        445 873 1433 1521 2181 2375 2376 2377 2379 2380 3306 3389 4243 5432 5672
        5900 6379 6380 6443 7000 7001 8500 9042 9092 9200 9300 10250 10255 11211
        26379 27017 27018 50000 50070 61616
    """.split()  # noqa: SIM905 - a hundred numbers read better as a block
)
"""Never, whoever asks: what listens there is not the web, and plain text can harm it."""


def inward(address: Address, trusted: Sequence[Network] = ()) -> bool:
    """Whether a connection to this address may not be made for an agent.

    Args:
        address: Where a name led, or what stood in the URL.
        trusted: Ranges that the operator opened although they are inside.
    """
    seen = (address, *carried(address))
    if any(one in METADATA for one in seen):
        return True
    if any(one in network for one in seen for network in trusted if one.version == network.version):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _SPECIAL_4)
    if address in _MAPPED or address in _NAT64:
        return inward(seen[1], trusted)
    if address.scope_id is not None or address not in _GLOBAL_6:
        return True
    if any(address in network for network in _SPECIAL_6):
        return True
    return any(inward(one, trusted) for one in seen[1:])


def carried(address: Address) -> tuple[ipaddress.IPv4Address, ...]:
    """The IPv4 addresses that packets to this IPv6 address may end at."""
    if isinstance(address, ipaddress.IPv4Address):
        return ()
    if address in _MAPPED or address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    found: list[ipaddress.IPv4Address] = []
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found += address.teredo
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(found)


def parse_network(text: str) -> Network:
    """A range in CIDR notation, or one address.

    Raises:
        ValueError: it is neither, or bits are set beyond the prefix.
    """
    return ipaddress.ip_network(text.strip())


def parse_address(host: str) -> Address | None:
    """The address that a host is, written as usual; ``None`` for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
