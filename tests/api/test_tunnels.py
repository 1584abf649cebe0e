"""Tunnels, their certificates and tokens through the official SDK (spec 19)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
import sqlalchemy as sa
from anthropic import Anthropic
from cryptography.hazmat.primitives import hashes, serialization

from freehold.core.tunnels import DOMAIN
from freehold.store.tables import tunnel_certificates, tunnel_rotations, tunnels
from tests.api.conftest import refused, said, turn
from tests.support.authorities import EXPIRY, KEY, certificate, pem
from tests.support.running import BETA, Served

PATH = "/v1/tunnels"
ABSENT = "01" + "2" * 22


PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
GOOD = pem(certificate())


@pytest.fixture(scope="module")
def http(shared: Served) -> Iterator[httpx.Client]:
    headers = {**BETA, "anthropic-beta": "mcp-tunnels-2026-06-22"}
    with httpx.Client(base_url=shared.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def tunnel(sdk: Anthropic) -> Any:
    return sdk.beta.tunnels.create()


def test_the_life_of_a_tunnel(sdk: Anthropic) -> None:
    made = sdk.beta.tunnels.create(display_name="Office")
    assert made.id.startswith("tnl_")
    assert (made.type, made.display_name, made.archived_at) == ("tunnel", "Office", None)
    label, _, parent = made.domain.partition(".")
    assert (len(label), parent) == (16, DOMAIN)
    other = sdk.beta.tunnels.create()
    assert (other.display_name, other.domain != made.domain) == (None, True)
    assert sdk.beta.tunnels.retrieve(made.id) == made
    sdk.beta.tunnels.certificates.create(made.id, ca_certificate_pem=GOOD)
    archived = sdk.beta.tunnels.archive(made.id)
    assert archived.archived_at is not None
    assert archived.domain == made.domain
    assert sdk.beta.tunnels.archive(made.id) == archived
    assert sdk.beta.tunnels.retrieve(made.id) == archived
    assert made.id not in {found.id for found in sdk.beta.tunnels.list()}
    assert archived in list(sdk.beta.tunnels.list(include_archived=True))
    (held,) = sdk.beta.tunnels.certificates.list(made.id, include_archived=True)
    assert held.archived_at == archived.archived_at
    assert list(sdk.beta.tunnels.certificates.list(made.id)) == []
    for call in (
        lambda: sdk.beta.tunnels.reveal_token(made.id),
        lambda: sdk.beta.tunnels.rotate_token(made.id),
        lambda: sdk.beta.tunnels.certificates.create(made.id, ca_certificate_pem=GOOD),
    ):
        with pytest.raises(anthropic.BadRequestError, match=r"Tunnel is archived\."):
            call()


def test_tunnels_come_in_pages_newest_first(sdk: Anthropic) -> None:
    made = [sdk.beta.tunnels.create(display_name=f"{n}").id for n in range(5)]
    first = sdk.beta.tunnels.list(limit=2)
    assert [found.id for found in first.data] == made[:2:-1]
    assert [found.id for found in first][:5] == made[::-1]
    assert sdk.beta.tunnels.list(limit=1000).next_page is None


async def rows(shared: Served, table: sa.Table) -> list[Any]:
    async with shared.app.state.services.database.read() as session:
        return list(await session.all(sa.select(table)))


async def test_tokens_stay_until_they_are_rotated(shared: Served, sdk: Anthropic) -> None:
    tunnel = sdk.beta.tunnels.create()
    first = sdk.beta.tunnels.reveal_token(tunnel.id)
    assert first.type == "tunnel_token"
    assert len(first.tunnel_token) >= 32
    assert sdk.beta.tunnels.reveal_token(tunnel.id) == first
    second = sdk.beta.tunnels.rotate_token(tunnel.id, reason="somebody left")
    assert second.id != first.id
    assert second.tunnel_token != first.tunnel_token
    assert sdk.beta.tunnels.reveal_token(tunnel.id) == second
    third = sdk.beta.tunnels.rotate_token(tunnel.id)
    kept = [row for row in await rows(shared, tunnel_rotations) if row["tunnel_id"] == tunnel.id]
    assert [(row["token_id"], row["reason"]) for row in kept] == [
        (second.id, "somebody left"),
        (third.id, None),
    ]
    assert all(row["api_key_id"] for row in kept)
    (row,) = [row for row in await rows(shared, tunnels) if row["id"] == tunnel.id]
    assert row["sealed"] is not None
    assert third.tunnel_token not in str(dict(row))
    sdk.beta.tunnels.archive(tunnel.id)
    (row,) = [row for row in await rows(shared, tunnels) if row["id"] == tunnel.id]
    assert row["sealed"] is None


def test_the_token_is_shown_by_nothing_else(http: httpx.Client, sdk: Anthropic) -> None:
    tunnel = sdk.beta.tunnels.create()
    token = sdk.beta.tunnels.reveal_token(tunnel.id).tunnel_token
    for path in (PATH, f"{PATH}/{tunnel.id}"):
        assert token not in http.get(path).text
    assert http.get(f"{PATH}/{tunnel.id}/reveal_token").status_code == 405


async def test_a_certificate(shared: Served, sdk: Anthropic, tunnel: Any) -> None:
    ca = certificate()
    made = sdk.beta.tunnels.certificates.create(tunnel.id, ca_certificate_pem=pem(ca))
    assert made.id.startswith("tcrt_")
    assert (made.type, made.tunnel_id, made.archived_at) == (
        "tunnel_certificate",
        tunnel.id,
        None,
    )
    assert made.fingerprint == ca.fingerprint(hashes.SHA256()).hex()
    assert made.expires_at == EXPIRY
    certificates = sdk.beta.tunnels.certificates
    assert certificates.retrieve(made.id, tunnel_id=tunnel.id) == made
    (row,) = [row for row in await rows(shared, tunnel_certificates) if row["id"] == made.id]
    assert row["pem"] == pem(ca)
    archived = certificates.archive(made.id, tunnel_id=tunnel.id)
    assert archived.archived_at is not None
    assert certificates.archive(made.id, tunnel_id=tunnel.id) == archived
    assert certificates.retrieve(made.id, tunnel_id=tunnel.id) == archived


def test_a_certificate_that_does_not_expire(sdk: Anthropic, tunnel: Any) -> None:
    forever = pem(certificate(expires=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)))
    made = sdk.beta.tunnels.certificates.create(tunnel.id, ca_certificate_pem=forever)
    assert made.expires_at is None


def test_a_tunnel_trusts_two_cas(sdk: Anthropic, tunnel: Any) -> None:
    certificates = sdk.beta.tunnels.certificates
    made = [certificates.create(tunnel.id, ca_certificate_pem=pem(certificate())) for _ in "ab"]
    with pytest.raises(anthropic.BadRequestError, match="already holds 2 certificates"):
        certificates.create(tunnel.id, ca_certificate_pem=GOOD)
    certificates.archive(made[0].id, tunnel_id=tunnel.id)
    third = certificates.create(tunnel.id, ca_certificate_pem=GOOD)
    assert list(certificates.list(tunnel.id)) == [third, made[1]]
    everything = certificates.list(tunnel.id, include_archived=True, limit=1)
    assert [one.id for one in everything] == [third.id, made[1].id, made[0].id]


def test_text_around_the_certificate_is_no_harm(sdk: Anthropic, tunnel: Any) -> None:
    text = f"The office's CA\r\n{GOOD.replace(chr(10), chr(13) + chr(10))}\n\n"
    made = sdk.beta.tunnels.certificates.create(tunnel.id, ca_certificate_pem=text)
    assert len(made.fingerprint) == 64


def test_pem_has_at_most_8_kb(http: httpx.Client, tunnel: Any) -> None:
    path = f"{PATH}/{tunnel.id}/certificates"
    padded = GOOD + "\n" * (8192 - len(GOOD))
    assert http.post(path, json={"ca_certificate_pem": padded}).status_code == 200
    refused(
        http.post(path, json={"ca_certificate_pem": padded + "\n"}),
        400,
        "ca_certificate_pem: maximum string length is 8192",
    )


CRL = GOOD.replace("CERTIFICATE", "X509 CRL")
ONE = "must contain exactly one PEM-encoded certificate and nothing else"
BROKEN = "is not a valid X.509 certificate"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "minimum string length is 1"),
        ("hello", ONE),
        (GOOD + GOOD, ONE),
        (GOOD + CRL, ONE),
        (CRL, ONE),
        (GOOD + PRIVATE, "must not contain a private key"),
        (PRIVATE, "must not contain a private key"),
        (
            PRIVATE.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY"),
            "must not contain a private key",
        ),
        (GOOD.replace("MII", "AAA", 1), BROKEN),
        (GOOD[: len(GOOD) // 2], BROKEN),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", BROKEN),
        (
            pem(certificate(authority=False)),
            "must be the certificate of a CA (basicConstraints CA:TRUE)",
        ),
        (
            pem(certificate(authority=None)),
            "must be the certificate of a CA (basicConstraints CA:TRUE)",
        ),
    ],
)
def test_certificates_that_are_refused(
    http: httpx.Client, sdk: Anthropic, tunnel: Any, text: str, problem: str
) -> None:
    path = f"{PATH}/{tunnel.id}/certificates"
    refused(
        http.post(path, json={"ca_certificate_pem": text}), 400, f"ca_certificate_pem: {problem}"
    )
    assert sdk.beta.tunnels.certificates.list(tunnel.id).data == []


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (PATH, {"display_name": ""}, "display_name: minimum string length is 1"),
        (PATH, {"display_name": "x" * 256}, "display_name: maximum string length is 255"),
        (PATH, {"domain": "x"}, 'Failed to parse request body: unknown field "domain"'),
        (
            PATH + "/{id}/rotate_token",
            {"reason": "x" * 1025},
            "reason: maximum string length is 1024",
        ),
        (
            PATH + "/{id}/reveal_token",
            {"reason": "x"},
            'Failed to parse request body: unknown field "reason"',
        ),
        (PATH + "/{id}/certificates", {}, "ca_certificate_pem: Field required"),
    ],
)
def test_bodies_that_are_refused(
    http: httpx.Client, tunnel: Any, path: str, body: Any, text: str
) -> None:
    refused(http.post(path.replace("{id}", tunnel.id), json=body), 400, text)


def test_names_and_reasons_at_their_limits(http: httpx.Client, tunnel: Any) -> None:
    made = http.post(PATH, json={"display_name": "é" * 255})
    assert made.json()["display_name"] == "é" * 255
    path = f"{PATH}/{tunnel.id}/rotate_token"
    assert http.post(path, json={"reason": "é" * 1024}).status_code == 200
    assert http.post(path).status_code == 200
    assert http.post(PATH).status_code == 200


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
@pytest.mark.parametrize("below", ["", "/{id}/certificates"])
def test_pages_have_1_to_1000(http: httpx.Client, tunnel: Any, below: str, limit: str) -> None:
    path = PATH + below.replace("{id}", tunnel.id)
    assert http.get(path, params={"limit": "1000"}).status_code == 200
    refused(
        http.get(path, params={"limit": limit}),
        400,
        "limit: value must be greater than or equal to 1 and less than or equal to 1000",
    )


def test_what_is_not_there(http: httpx.Client, sdk: Anthropic, tunnel: Any) -> None:
    for tunnel_id in (f"tnl_{ABSENT}", "tnl_x", f"vlt_{ABSENT}"):
        for method, below in (
            ("GET", ""),
            ("POST", "/archive"),
            ("POST", "/reveal_token"),
            ("POST", "/rotate_token"),
            ("GET", "/certificates"),
            ("GET", f"/certificates/tcrt_{ABSENT}"),
            ("POST", f"/certificates/tcrt_{ABSENT}/archive"),
        ):
            answer = http.request(method, f"{PATH}/{tunnel_id}{below}")
            refused(answer, 404, "Tunnel not found.")
        answer = http.post(f"{PATH}/{tunnel_id}/certificates", json={"ca_certificate_pem": GOOD})
        refused(answer, 404, "Tunnel not found.")
    others = sdk.beta.tunnels.create()
    theirs = sdk.beta.tunnels.certificates.create(others.id, ca_certificate_pem=GOOD)
    for certificate_id in (theirs.id, f"tcrt_{ABSENT}", "x"):
        path = f"{PATH}/{tunnel.id}/certificates/{certificate_id}"
        refused(http.get(path), 404, "Tunnel certificate not found.")
        refused(http.post(f"{path}/archive"), 404, "Tunnel certificate not found.")


def test_the_beta_header_is_needed(shared: Served) -> None:
    answer = httpx.get(shared.url + PATH, headers=BETA)
    refused(answer, 404, "Not found")
    assert answer.headers["x-should-retry"] == "false"


def test_agents_reach_nothing_through_a_tunnel(
    sdk: Anthropic, environment: Any, tunnel: Any
) -> None:
    agent = sdk.beta.agents.create(
        name="Tunnelled",
        model="claude-opus-5",
        mcp_servers=[{"type": "url", "name": "wiki", "url": f"https://wiki.{tunnel.domain}/mcp"}],
        tools=[{"type": "mcp_toolset", "mcp_server_name": "wiki"}],
    )
    session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    seen = turn(sdk, session.id, said("hello"))
    (error,) = [event.error for event in seen if event.type == "session.error"]
    assert (error.type, error.mcp_server_name) == ("mcp_connection_failed_error", "wiki")
    assert "tunnels carry no traffic on this server" in error.message
    assert seen[-1].stop_reason.type == "end_turn"


def test_a_repeated_rotation_gives_the_same_token(http: httpx.Client, tunnel: Any) -> None:
    path = f"{PATH}/{tunnel.id}/rotate_token"
    headers = {"Idempotency-Key": f"rotate {tunnel.id}".replace(" ", "-")}
    first, again = (http.post(path, json={}, headers=headers).json() for _ in range(2))
    assert first == again
    assert http.post(f"{PATH}/{tunnel.id}/reveal_token").json() == first
