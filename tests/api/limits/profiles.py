"""Limits of user profiles and tunnels."""

from __future__ import annotations

from typing import Any

from tests.api.limits.kinds import VALUE, Call, Items, Row, Text, Whole
from tests.api.limits.metadata import Entry, bag_of
from tests.support.authorities import certificate, pem

PROFILES = "/v1/user_profiles"
TUNNELS = "/v1/tunnels"
OLD = {"anthropic-beta": "user-profiles-2026-03-24"}
BETA = {"anthropic-beta": "mcp-tunnels-2026-06-22"}
_PEM = pem(certificate())


def profile(**fields: Any) -> Call:
    return Call("POST", PROFILES, fields)


def tunnel(path: str, **fields: Any) -> Call:
    return Call("POST", f"{TUNNELS}{path}", fields, headers=BETA, readable=False)


def padded(count: int) -> str:
    """A certificate with so much behind it that it is that long."""
    return _PEM.ljust(count, "\n") if count >= len(_PEM) else "x" * count


def _metadata(what: str, bounds: Any, constant: str) -> Row:
    return Row(
        f"metadata of a user profile: {what}",
        bounds,
        "1.10",
        profile(metadata=VALUE),
        constant=constant,
        declared=False,
        refusal="^invalid metadata: ",
    )


ROWS = [
    Row("ProfileParams.name", Text(0, 255), "the SDK's text", profile(name=VALUE)),
    Row(
        "ProfileParams20260324.external_id",
        Text(0, 255),
        "the SDK's text",
        Call("POST", PROFILES, {"external_id": VALUE}, headers=OLD),
    ),
    *(
        Row(
            f"ExternalUserDetailsParams.{name}",
            Text(1, 255),
            "the SDK's text",
            profile(external_user_details={name: VALUE}),
        )
        for name in ("email_hash", "name_hash", "reference_id")
    ),
    _metadata("entries", Items(0, 16, bag_of), "METADATA_ENTRIES"),
    _metadata("key", Entry(Text(1, 64), "key"), "METADATA_KEY"),
    _metadata("value", Entry(Text(1, 512), "value"), "METADATA_VALUE"),
    Row(
        "UserProfileListQuery.limit",
        Whole(1, 100),
        "1.8",
        Call("GET", PROFILES, query={"limit": VALUE}),
        shown=None,
    ),
    Row("TunnelCreateParams.display_name", Text(1, 255), "19", tunnel("", display_name=VALUE)),
    Row(
        "TunnelRotateTokenParams.reason",
        Text(0, 1024),
        "19",
        tunnel("/{tunnel}/rotate_token", reason=VALUE),
        shown=None,
    ),
    Row(
        "TunnelCertificateCreateParams.ca_certificate_pem",
        Text(1, 8192, padded, astral=False),
        "19",
        tunnel("/{tunnel}/certificates", ca_certificate_pem=VALUE),
        shown=None,
        elsewhere="it is no certificate",
        elsewhere_at=("least",),
    ),
    Row(
        "TunnelListQuery.limit",
        Whole(1, 1000),
        "1.8",
        Call("GET", TUNNELS, query={"limit": VALUE}, headers=BETA),
        shown=None,
    ),
]
