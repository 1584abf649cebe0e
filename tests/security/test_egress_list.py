"""What others test of their egress firewalls, and where it is tested here.

The list is that of E2B's sandboxes (e2b-dev/infra, ``sandbox_network_out_test.go``), whose rules
are addresses, ranges and domains with ``allow`` and ``deny``. An environment here has one list,
``allowed_hosts``, of hosts, addresses and ``*.domain``, or no limits (spec 3.2): what has no
meaning then is refused where the environment is created, and that is what is tested.

========================================= =========================================================
their test, ``TestEgressFirewall…``       ours, ``test_…``
========================================= =========================================================
AllowAll                                  every_port_of_every_host_outside_answers
AllowAllDomainsWildcard                   what_is_no_entry_is_refused
AllowAllDuplicate                         what_is_no_entry_is_refused
AllowAndBlockCombination                  names_and_addresses_side_by_side
AllowCIDRRange                            what_is_no_entry_is_refused
AllowDomainAndIP                          names_and_addresses_side_by_side
AllowDomainThroughBlockedInternet         an_allowed_host_answers
AllowOverridesBlock                       names_and_addresses_side_by_side
AllowSpecificIP                           an_address_is_allowed_by_itself
AllowWildcardDomainThroughBlockedInternet a_wildcard_covers_every_depth_and_not_the_domain
BlockCIDRRange                            private_and_reserved_addresses_are_refused
BlockSpecificIP                           a_name_that_leads_inward_is_refused_in_words
DNSSpoofingNeutralized                    what_a_sandbox_says_of_addresses_does_not_matter
DomainCaseInsensitive                     a_domain_is_matched_whatever_its_case
DomainPersistsAfterResume                 it_persists_after_a_rest_and_in_a_new_sandbox
EmptyConfig                               an_empty_list_blocks_all_there_is
ExactDomainMatchVsSubdomain               an_exact_host_does_not_cover_its_subdomains_nor_addresses
HTTPDomainFiltering                       the_host_that_is_asked_for_decides
HTTPSByIPNoHostname                       an_exact_host_does_not_cover_its_subdomains_nor_addresses
MultipleAllowedIPs                        names_and_addresses_side_by_side
PersistsAfterResume                       it_persists_after_a_rest_and_in_a_new_sandbox
PrivateIPRangesAlwaysBlocked              private_ranges_are_refused_even_where_they_are_listed
RegularIPThenAllowAll                     what_is_no_entry_is_refused
UDPAllowedCIDR                            all_else_gets_nowhere
UDPAllowedIP                              all_else_gets_nowhere
WithInternetAccessFalse                   an_allowed_host_answers
========================================= =========================================================

Of these mean something else here:

* There is no list of what is blocked beside what is allowed: ranges that are always closed take
  its place (``BlockCIDRRange``, ``BlockSpecificIP``; an operator opens some by
  ``FREEHOLD_TRUSTED_NETWORKS``), and under ``limited`` all that is not listed
  (``AllowAndBlockCombination``, ``AllowOverridesBlock``, ``WithInternetAccessFalse``).
* No entry opens a range or everything (``AllowAll…``, ``AllowCIDRRange``,
  ``RegularIPThenAllowAll``): who wants everything takes ``unrestricted``.
* An empty list is deny-all, not no restriction (``EmptyConfig``).
* UDP goes nowhere, to a listed address neither (``UDPAllowed…``): names are looked up by the gate.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.docker_engine import container_of, output
from tests.docker_gate import Hosts, limited, reached

from freehold.core.domains import allowed_host_problem
from freehold.sandbox.docker import DockerSandboxProvider

_ROW = re.compile(r"^([A-Z][A-Za-z]+) +([a-z]+(?:_[a-z]+)+)$", re.MULTILINE)


def test_the_table_is_whole() -> None:
    rows = dict(_ROW.findall(__doc__ or ""))
    assert len(rows) == 26
    sources = [path.read_text() for path in Path(__file__).parent.glob("test_egress*.py")]
    there = set(re.findall(r"^(?:async )?def test_(\w+)", "\n".join(sources), re.MULTILINE))
    assert set(rows.values()) <= there


@pytest.mark.parametrize(
    "entry",
    ["*", "*.*", "0.0.0.0/0", "8.8.8.8/32", "1.1.1.0/24", "::/0", "*.com/", "*.1.1.1.1", "*.test"],
)
def test_what_is_no_entry_is_refused(entry: str) -> None:
    """What would open everything, or a range."""
    assert allowed_host_problem(entry)
    assert allowed_host_problem("example.com") is None
    assert allowed_host_problem("8.8.8.8") is None


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="module")
async def test_names_and_addresses_side_by_side(
    provider: DockerSandboxProvider, hosts: Hosts
) -> None:
    address, inside = hosts.address(hosts.open), hosts.address(hosts.inside)
    listed = ["Allowed.TEST", address, "192.0.2.1", "192.0.2.1", inside]
    box = await provider.acquire(limited(allowed_hosts=listed))
    for host in ("allowed.test", address):
        assert reached(await output(box, f"curl -sS http://{host}/"))["reached"] == host
    for host in ("other.test", "192.0.2.2"):
        for scheme in ("http", "https"):
            said = await output(box, f"curl -sSk {scheme}://{host}/")
            assert said == f"Host not in allowlist: {host}"
    # What is listed and always closed stays closed.
    assert "private/reserved" in await output(box, f"curl -sS http://{inside}/")
    assert hosts.heard(hosts.inside) == []


@pytest.mark.docker
@pytest.mark.asyncio(loop_scope="module")
async def test_it_persists_after_a_rest_and_in_a_new_sandbox(
    provider: DockerSandboxProvider, hosts: Hosts, docker_client: Any
) -> None:
    address = hosts.address(hosts.open)
    wanted = limited(allowed_hosts=["allowed.test", address])

    async def holds() -> str:
        box = await provider.acquire(wanted)
        assert reached(await output(box, "curl -sS https://allowed.test/"))
        assert reached(await output(box, f"curl -sS http://{address}/"))
        for host in ("other.test", "192.0.2.2"):
            said = await output(box, f"curl -sSk https://{host}/")
            assert said == f"Host not in allowlist: {host}"
        return str(container_of(docker_client, box).id)

    first = await holds()
    assert await provider.rest(wanted.session_id)
    assert docker_client.containers.get(first).status == "exited"
    assert await holds() == first
    docker_client.containers.get(first).remove(force=True)
    assert await holds() != first
