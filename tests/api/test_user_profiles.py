"""User profiles through the official SDK, in all dialects (spec 19)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from tests.api.conftest import refused
from tests.support.running import Served, serve

PATH = "/v1/user_profiles"
MARCH, AUGUST, SEPTEMBER = (f"user-profiles-2026-{day}" for day in ("03-24", "08-18", "09-04"))
DETAILS = {
    "account_status": "active",
    "country": "DE",
    "email_hash": "e" * 255,
    "entity_type": "non_profit",
    "name_hash": "n",
    "onboarded_at": "2026-01-02T03:04:05+01:00",
    "reference_id": "user-1",
}
COMMON = {"id", "type", "name", "metadata", "created_at", "updated_at"}
ABSENT = "uprof_" + "01" + "2" * 22


@pytest.fixture(scope="module")
def profile(sdk: Anthropic) -> Any:
    return sdk.user_profiles.create(name="Ada", external_user_details=DETAILS)  # type: ignore[arg-type]


def asked(http: httpx.Client, path: str, *betas: str, **options: Any) -> httpx.Response:
    headers = {"anthropic-beta": ",".join(betas or ["managed-agents-2026-04-01"])}
    method = options.pop("method", "GET")
    return http.request(method, path, headers=headers, **options)


def posted(http: httpx.Client, body: Any, *betas: str, path: str = PATH) -> httpx.Response:
    return asked(http, path, *betas, method="POST", json=body)


def test_the_life_of_a_profile(sdk: Anthropic) -> None:
    made = sdk.user_profiles.create(
        name="Ada", access_type="passthrough", metadata={"plan": "gold", "seat": "4"}
    )
    assert made.id.startswith("uprof_")
    assert (made.type, made.name, made.access_type) == ("user_profile", "Ada", "passthrough")
    assert set(made.external_user_details.to_dict().values()) == {None}
    assert (made.enforcement_actions, made.enforcement_status) == ([], "unrestricted")
    assert made.programs.to_dict() == {"cyber": None, "efs": None}
    assert sdk.user_profiles.retrieve(made.id) == made
    changed = sdk.user_profiles.update(
        made.id,
        external_user_details={"country": "FR", "account_status": "blocked"},
        metadata={"plan": "", "seat": "5", "new": "x"},
    )
    assert (changed.name, changed.access_type) == ("Ada", "passthrough")
    assert changed.metadata == {"seat": "5", "new": "x"}
    assert changed.external_user_details.country == "FR"
    assert changed.updated_at > made.updated_at
    same = sdk.user_profiles.update(made.id, access_type=None, metadata={"gone": ""})
    assert same == changed
    more = sdk.user_profiles.update(made.id, external_user_details={"country": "BE"}, name=None)
    assert more.external_user_details.account_status == "blocked"
    assert (more.external_user_details.country, more.name) == ("BE", None)
    deleted = sdk.user_profiles.delete(made.id)
    assert (deleted.id, deleted.type) == (made.id, "user_profile_deleted")
    for call in (sdk.user_profiles.retrieve, sdk.user_profiles.update, sdk.user_profiles.delete):
        with pytest.raises(anthropic.NotFoundError, match=r"User profile not found\."):
            call(made.id)


def test_the_beta_namespace(sdk: Anthropic) -> None:
    """The SDK names August's beta by itself."""
    profiles = sdk.beta.user_profiles
    made = profiles.create(
        external_id="user-2", external_user_onboarded_at="2026-01-01T00:00:00Z", name="Grace"
    )
    assert (made.external_id, made.access_type, made.trust_grants) == ("user-2", "application", {})
    assert made.external_user_onboarded_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert made.external_user_details is None
    changed = profiles.update(made.id, external_id="user-3")
    assert (changed.external_id, changed.external_user_onboarded_at) == (
        "user-3",
        made.external_user_onboarded_at,
    )
    newer = profiles.retrieve(made.id, betas=[SEPTEMBER])
    assert newer.external_user_details is not None
    assert newer.external_user_details.reference_id == "user-3"
    assert newer.external_id is None
    assert changed in list(profiles.list())
    assert profiles.update(made.id, external_id=None).external_id is None
    assert profiles.delete(made.id).type == "user_profile_deleted"


@pytest.mark.parametrize(
    ("betas", "own"),
    [
        ([MARCH], {"external_id", "trust_grants"}),
        (
            [AUGUST],
            {"external_id", "external_user_onboarded_at", "access_type", "trust_grants"},
        ),
        ([SEPTEMBER], {"external_user_details", "access_type", "trust_grants"}),
        (
            [],
            {
                "external_user_details",
                "access_type",
                "enforcement_actions",
                "enforcement_status",
                "programs",
            },
        ),
    ],
)
def test_each_dialect_has_its_own_fields(
    http: httpx.Client, profile: Any, betas: list[str], own: set[str]
) -> None:
    found = asked(http, f"{PATH}/{profile.id}", *betas).json()
    assert set(found) == COMMON | own
    (listed,) = asked(http, f"{PATH}?order=asc&limit=1", *betas).json()["data"]
    assert set(listed) == COMMON | own
    updated = posted(http, {}, *betas, path=f"{PATH}/{profile.id}").json()
    assert updated == found
    if "external_id" in own:
        assert found["external_id"] == "user-1"
    else:
        assert found["external_user_details"] == {
            **DETAILS,
            "onboarded_at": "2026-01-02T02:04:05.000000Z",
        }


def test_the_newest_of_several_dialects_is_spoken(http: httpx.Client, profile: Any) -> None:
    path = f"{PATH}/{profile.id}"
    for order in itertools.permutations((MARCH, AUGUST, SEPTEMBER)):
        assert "external_user_details" in asked(http, path, *order).json()
    assert "external_user_onboarded_at" in asked(http, path, MARCH, AUGUST).json()


@pytest.mark.parametrize(
    ("beta", "body"),
    [
        (MARCH, {"access_type": "application"}),
        (MARCH, {"external_user_onboarded_at": "2026-01-01T00:00:00Z"}),
        (MARCH, {"external_user_details": {}}),
        (AUGUST, {"external_user_details": {}}),
        (SEPTEMBER, {"external_id": "x"}),
        (SEPTEMBER, {"external_user_onboarded_at": "2026-01-01T00:00:00Z"}),
        ("", {"external_id": "x"}),
        ("", {"trust_grants": {}}),
    ],
)
def test_what_another_dialect_takes_is_an_unknown_field(
    http: httpx.Client, profile: Any, beta: str, body: dict[str, Any]
) -> None:
    text = f'Failed to parse request body: unknown field "{next(iter(body))}"'
    betas = [beta] if beta else []
    refused(posted(http, body, *betas), 400, text)
    refused(posted(http, body, *betas, path=f"{PATH}/{profile.id}"), 400, text)


@pytest.mark.parametrize("beta", [MARCH, AUGUST])
def test_an_external_id_has_at_most_255_characters(http: httpx.Client, beta: str) -> None:
    at = posted(http, {"external_id": "é" * 255}, beta)
    assert (at.status_code, at.json()["external_id"]) == (200, "é" * 255)
    refused(
        posted(http, {"external_id": "x" * 256}, beta),
        400,
        "external_id: maximum string length is 255",
    )


@pytest.mark.parametrize("field", ["email_hash", "name_hash", "reference_id"])
def test_details_have_1_to_255_characters(http: httpx.Client, field: str) -> None:
    at = posted(http, {"external_user_details": {field: "é" * 255}})
    assert at.json()["external_user_details"][field] == "é" * 255
    for value, text in (
        ("", "minimum string length is 1"),
        ("x" * 256, "maximum string length is 255"),
    ):
        refused(
            posted(http, {"external_user_details": {field: value}}),
            400,
            f"external_user_details.{field}: {text}",
        )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"name": "x" * 256}, "name: maximum string length is 255"),
        ({"access_type": "x"}, 'Failed to parse request: access_type: "x" is not a valid value'),
        ({"access_type": None}, "Failed to parse request: access_type: null is not a valid value"),
        ({"metadata": {"a": ""}}, "invalid metadata: the value of 'a' must not be empty"),
        (
            {"metadata": {str(n): "x" for n in range(17)}},
            "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
        ),
        (
            {"metadata": {"a": None}},
            "Failed to parse request: metadata.a: must be a string (got null)",
        ),
        (
            {"external_user_details": {"country": "de"}},
            "external_user_details.country: must match pattern ^[A-Z]{2}$",
        ),
        (
            {"external_user_details": {"country": "DE\n"}},
            "external_user_details.country: must match pattern ^[A-Z]{2}$",
        ),
        (
            {"external_user_details": {"entity_type": "dog"}},
            "Failed to parse request: external_user_details.entity_type: "
            '"dog" is not a valid value',
        ),
        (
            {"external_user_details": {"onboarded_at": None}},
            "external_user_details.onboarded_at: Value is not nullable",
        ),
        (
            {"external_user_details": {"onboarded_at": "2026-01-01"}},
            "external_user_details.onboarded_at: must be an RFC 3339 time such as "
            "2026-03-15T10:00:00Z",
        ),
        (
            {"external_user_details": None},
            "Failed to parse request: external_user_details: must be an object (got null)",
        ),
    ],
)
def test_bodies_that_are_refused(http: httpx.Client, body: dict[str, Any], text: str) -> None:
    refused(posted(http, body), 400, text)


def test_names_and_metadata_at_their_limits(http: httpx.Client) -> None:
    body = {"name": "é" * 255, "metadata": {f"{n:064}": "é" * 512 for n in range(16)}}
    made = posted(http, body).json()
    assert (made["name"], made["metadata"]) == (body["name"], body["metadata"])
    # One comes and one goes: what is stored counts.
    path = f"{PATH}/{made['id']}"
    assert posted(http, {"metadata": {"new": "x", f"{0:064}": ""}}, path=path).status_code == 200
    refused(
        posted(http, {"metadata": {"newer": "x"}}, path=path),
        400,
        "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
    )


@pytest.mark.parametrize("field", list(DETAILS))
def test_details_cannot_be_cleared(http: httpx.Client, profile: Any, field: str) -> None:
    path = f"{PATH}/{profile.id}"
    refused(
        posted(http, {"external_user_details": {field: None}}, path=path),
        400,
        f"external_user_details.{field}: Value is not nullable",
    )
    if field != "onboarded_at":  # at creation null says nothing
        assert posted(http, {"external_user_details": {field: None}}).status_code == 200


def test_nobody_is_onboarded_in_the_future(http: httpx.Client, profile: Any) -> None:
    now = datetime.now(UTC)
    soon, late = ((now + timedelta(seconds=s)).isoformat() for s in (30, 3600))
    for beta, body, path in (
        (SEPTEMBER, lambda t: {"external_user_details": {"onboarded_at": t}}, "details"),
        (AUGUST, lambda t: {"external_user_onboarded_at": t}, "onboarded"),
    ):
        field = {
            "details": "external_user_details.onboarded_at",
            "onboarded": "external_user_onboarded_at",
        }[path]
        text = f"{field}: must be no more than 1 minute in the future"
        for target in (PATH, f"{PATH}/{profile.id}"):
            assert posted(http, body(soon), beta, path=target).status_code == 200
            refused(posted(http, body(late), beta, path=target), 400, text)


@pytest.mark.parametrize("profile_id", [ABSENT, "uprof_x", "vlt_" + ABSENT[6:], "%20"])
def test_profiles_that_are_not_there(http: httpx.Client, profile_id: str) -> None:
    for method, below, body in (
        ("GET", "", None),
        ("POST", "", {}),
        ("DELETE", "", None),
        ("POST", "/enrollment_url", {}),
        ("POST", "/action_urls", {"action": {"type": "enroll_end_user"}}),
    ):
        answer = asked(http, f"{PATH}/{profile_id}{below}", method=method, json=body)
        refused(answer, 404, "User profile not found.")


def test_enrollment_is_refused_with_the_reason(
    sdk: Anthropic, http: httpx.Client, profile: Any
) -> None:
    for call in (
        lambda: sdk.beta.user_profiles.create_enrollment_url(profile.id),
        lambda: sdk.user_profiles.action_urls.create(
            profile.id, action={"type": "enroll_end_user"}
        ),
        lambda: sdk.beta.user_profiles.action_urls.create(
            profile.id, action={"type": "enroll_end_user"}
        ),
    ):
        with pytest.raises(anthropic.BadRequestError, match="Enrollment is not available on this"):
            call()
    path = f"{PATH}/{profile.id}/action_urls"
    refused(posted(http, {}, path=path), 400, "action: Field required")
    refused(
        posted(http, {"action": {"type": "dance"}}, path=path),
        400,
        'Failed to parse request: action.type: "dance" is not a valid value',
    )


NAMES = ("bob", "Alice", None, "alice", "Çelik", None, "bob", "Zoe", "_x", "")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("profiles") / "data") as served:
        client = served.client()
        for name in NAMES:
            client.user_profiles.create(name=name)
        yield served


class TestList:
    """On a server of its own, whose profiles are known."""

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_by_time(self, own: Served, limit: int) -> None:
        profiles = own.client().user_profiles
        newest = [one.name for one in profiles.list(limit=limit)]
        assert newest == list(NAMES[::-1])
        assert [one.name for one in profiles.list(limit=limit, order="asc")] == list(NAMES)

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    @pytest.mark.parametrize("order", ["asc", "desc"])
    def test_by_name(self, own: Served, limit: int, order: Any) -> None:
        found = list(own.client().user_profiles.list(limit=limit, order=order, order_by="name"))
        assert len({one.id for one in found}) == len(NAMES)
        sign = 1 if order == "asc" else -1
        named = ["", "_x", "Alice", "alice", "bob", "bob", "Zoe", "Çelik"][::sign]
        assert [one.name and one.name.lower() for one in found] == [
            *(name.lower() for name in named),
            None,
            None,
        ]

    def test_cursors_are_of_one_order(self, own: Served) -> None:
        with httpx.Client(base_url=own.url, headers={"x-api-key": "test"}) as http:
            for query in ("", "order=asc", "order_by=name", "order_by=name&order=asc"):
                page = http.get(f"{PATH}?limit=1&{query}").json()["next_page"]
                for other in ("", "order=asc", "order_by=name", "order_by=name&order=asc"):
                    answer = http.get(f"{PATH}?{other}&page={page}")
                    assert answer.status_code == (200 if other == query else 400), (query, other)
            assert http.get(PATH).json()["next_page"] is None

    def test_everybody_is_unrestricted(self, own: Served) -> None:
        profiles = own.client().user_profiles
        everybody = list(profiles.list())
        assert list(profiles.list(enforcement_status=["banned", "unrestricted"])) == everybody
        assert list(profiles.list(enforcement_status=["banned", "pending", "restricted"])) == []

    @pytest.mark.parametrize("beta", [MARCH, AUGUST, SEPTEMBER])
    def test_older_dialects_know_no_enforcement(self, own: Served, beta: str) -> None:
        headers = {"x-api-key": "test", "anthropic-beta": beta}
        answer = httpx.get(f"{own.url}{PATH}?enforcement_status[]=unrestricted", headers=headers)
        refused(answer, 400, f"enforcement_status: not supported under the `{beta}` beta header")

    @pytest.mark.parametrize(
        ("query", "text"),
        [
            (
                "limit=0",
                "limit: value must be greater than or equal to 1 and less than or equal to 100",
            ),
            (
                "limit=101",
                "limit: value must be greater than or equal to 1 and less than or equal to 100",
            ),
            ("order=up", 'Failed to parse request: order: "up" is not a valid value'),
            ("order_by=x", 'Failed to parse request: order_by: "x" is not a valid value'),
            (
                "enforcement_status[]=x",
                'Failed to parse request: enforcement_status[0]: "x" is not a valid value',
            ),
            ("page=x", "page: invalid or expired page cursor"),
        ],
    )
    def test_bad_queries(self, own: Served, query: str, text: str) -> None:
        refused(httpx.get(f"{own.url}{PATH}?{query}", headers={"x-api-key": "test"}), 400, text)


def test_a_repeated_post_is_carried_out_once(sdk: Anthropic, http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "profile-1"}
    made = [http.post(PATH, json={"name": "once"}, headers=headers).json() for _ in range(2)]
    assert made[0] == made[1]
