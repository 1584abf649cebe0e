"""Environments through the official SDK (spec 3)."""
# ruff: noqa: E501 - in the table of refusals a case is a line

from __future__ import annotations

from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from freehold.core.ids import is_id
from tests.api.conftest import refused

URL = "/v1/environments"
ABSENT = "env_011CZkYpogX7uDKUyvBTophP"
NO_PACKAGES: dict[str, Any] = {
    "type": "packages",
    "apt": [],
    "cargo": [],
    "gem": [],
    "go": [],
    "npm": [],
    "pip": [],
}


def create(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post(URL, json={"name": "E", **fields})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def limited(**fields: Any) -> dict[str, Any]:
    return {"type": "cloud", "networking": {"type": "limited", **fields}}


class TestCreate:
    def test_the_least(self, sdk: Anthropic) -> None:
        made = sdk.beta.environments.create(name="least")
        assert is_id("env", made.id)
        assert made.to_dict() == {
            "id": made.id,
            "type": "environment",
            "name": "least",
            "description": None,
            "config": {
                "type": "cloud",
                "networking": {"type": "unrestricted"},
                "packages": NO_PACKAGES,
            },
            "metadata": {},
            "scope": "organization",
            "created_at": made.created_at,
            "updated_at": made.created_at,
            "archived_at": None,
        }

    def test_everything(self, sdk: Anthropic) -> None:
        made = sdk.beta.environments.create(
            name="most",
            description="",
            metadata={"a": "b"},
            scope="organization",
            config={
                "type": "cloud",
                "networking": {
                    "type": "limited",
                    "allowed_hosts": ["api.example.com", "*.example.org", "192.0.2.1"],
                    "allow_package_managers": True,
                },
                "packages": {"pip": ["pandas==2.2.0"], "apt": None},
            },
        )
        assert made.description == ""
        assert made.config.to_dict() == {
            "type": "cloud",
            "networking": {
                "type": "limited",
                "allowed_hosts": ["api.example.com", "*.example.org", "192.0.2.1"],
                "allow_mcp_servers": False,
                "allow_package_managers": True,
            },
            "packages": {**NO_PACKAGES, "pip": ["pandas==2.2.0"]},
        }
        assert sdk.beta.environments.retrieve(made.id) == made

    def test_self_hosted(self, sdk: Anthropic) -> None:
        made = sdk.beta.environments.create(name="mine", config={"type": "self_hosted"})
        assert made.config.to_dict() == {"type": "self_hosted"}

    def test_null_config_and_names_twice(self, http: httpx.Client) -> None:
        assert create(http, config=None)["config"]["type"] == "cloud"
        create(http, name="twice")
        create(http, name="twice")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"name": ""}, "name: String should have at least 1 character"),
            ({"name": "x" * 257}, "name: String should have at most 256 characters"),
            ({"name": None}, "name: Input should be a valid string"),
            ({"bogus": 1}, "bogus: Extra inputs are not permitted"),
            ({"description": "x" * 1025}, "description: String should have at most 1024 characters"),
            ({"scope": "account"}, 'scope: "account" is not available to API organizations; use "organization"'),
            ({"config": {"type": "moon"}}, "config: Input tag 'moon' found using 'type' does not match any of the expected tags: 'cloud', 'self_hosted'"),
            ({"config": {"type": "cloud", "networking": {"type": "none"}}}, "config.networking: Input tag 'none' found using 'type' does not match any of the expected tags: 'unrestricted', 'limited'"),
            ({"config": {"type": "self_hosted", "packages": {}}}, "config.packages: Extra inputs are not permitted"),
            ({"config": {"type": "cloud", "packages": {"brew": []}}}, "config.packages.brew: Extra inputs are not permitted"),
            ({"config": {"type": "cloud", "packages": {"pip": ["--index-url=x"]}}}, "config.packages.pip: '--index-url=x' is not a package"),
            ({"config": {"type": "cloud", "packages": {"pip": [""]}}}, "config.packages.pip.0: String should have at least 1 character"),
            ({"config": limited(allowed_hosts=["https://a.com"])}, "config.networking.allowed_hosts: entry 0: a scheme is not allowed; use a bare host or *.domain"),
            ({"config": limited(allowed_hosts=["a.com", "a.com:443"])}, "config.networking.allowed_hosts: entry 1: a port is not allowed; use a bare host or *.domain"),
            ({"config": limited(allowed_hosts=["a.com/x"])}, "config.networking.allowed_hosts: entry 0: a path is not allowed; use a bare host or *.domain"),
            ({"config": limited(allowed_hosts=["a.*.com"])}, "config.networking.allowed_hosts: entry 0: a wildcard is only allowed as the first label, as in *.example.com"),
            ({"config": limited(allowed_hosts=["*"])}, "config.networking.allowed_hosts: entry 0: a wildcard is only allowed as the first label, as in *.example.com"),
            ({"config": limited(allowed_hosts=[""])}, "config.networking.allowed_hosts: entry 0: not a valid host"),
            ({"config": {**limited(allowed_hosts=["mirror.example.com"]), "packages": {"pip": ["x"]}}}, "config.packages: packages need networking.allow_package_managers to be true when networking is limited"),
        ],
    )  # fmt: skip
    def test_refused(self, http: httpx.Client, fields: dict[str, Any], message: str) -> None:
        answer = http.post(URL, json={"name": "E", **fields})
        refused(answer, 400, message)
        assert answer.headers["x-should-retry"] == "false"

    def test_name_is_required(self, http: httpx.Client) -> None:
        refused(http.post(URL, json={}), 400, "name: Field required")

    def test_bad_metadata_has_its_code(self, http: httpx.Client) -> None:
        refused(
            http.post(URL, json={"name": "E", "metadata": {str(n): "" for n in range(17)}}),
            400,
            "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
            details={"error_code": "invalid_metadata"},
        )


class TestUpdate:
    def change(self, http: httpx.Client, made: dict[str, Any], **fields: Any) -> dict[str, Any]:
        answer = http.post(f"{URL}/{made['id']}", json=fields)
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed

    def test_no_change(self, http: httpx.Client) -> None:
        made = create(http, description="d", metadata={"a": "1"})
        for fields in (
            {},
            {"name": "E"},
            {"name": None, "config": None, "scope": None, "metadata": None},
            {"metadata": {"a": "1"}},
            {"config": {"type": "cloud"}},
        ):
            assert self.change(http, made, **fields) == made

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"name": "F"}, {"name": "F"}),
            ({"description": None}, {"description": None}),
            ({"description": ""}, {"description": ""}),
            ({"metadata": {"a": None}}, {"metadata": {"b": "2"}}),
            ({"metadata": {"a": ""}}, {"metadata": {"b": "2"}}),
            ({"metadata": {"c": "3"}}, {"metadata": {"a": "1", "b": "2", "c": "3"}}),
        ],
    )
    def test_merge(
        self, http: httpx.Client, fields: dict[str, Any], expected: dict[str, Any]
    ) -> None:
        made = create(http, description="d", metadata={"a": "1", "b": "2"})
        changed = self.change(http, made, **fields)
        assert changed["updated_at"] > made["updated_at"]
        assert changed == {**made, **expected, "updated_at": changed["updated_at"]}

    def test_config_merges_level_by_level(self, http: httpx.Client) -> None:
        made = create(
            http,
            config={
                **limited(allowed_hosts=["a.example.com"], allow_package_managers=True),
                "packages": {"pip": ["x"], "npm": ["y"]},
            },
        )
        changed = self.change(
            http,
            made,
            config={
                "type": "cloud",
                "networking": {"type": "limited", "allow_mcp_servers": True},
                "packages": {"pip": []},
            },
        )
        assert changed["config"] == {
            "type": "cloud",
            "networking": {
                "type": "limited",
                "allowed_hosts": ["a.example.com"],
                "allow_mcp_servers": True,
                "allow_package_managers": True,
            },
            "packages": {**NO_PACKAGES, "npm": ["y"]},
        }
        opened = self.change(
            http, made, config={"type": "cloud", "networking": {"type": "unrestricted"}}
        )
        assert opened["config"]["networking"] == {"type": "unrestricted"}
        assert opened["config"]["packages"]["npm"] == ["y"]

    def test_the_merged_config_is_checked(self, http: httpx.Client) -> None:
        made = create(http, config={"type": "cloud", "packages": {"pip": ["x"]}})
        refused(
            http.post(f"{URL}/{made['id']}", json={"config": limited()}),
            400,
            "config.packages: packages need networking.allow_package_managers to be true when "
            "networking is limited",
        )

    @pytest.mark.parametrize(
        ("before", "after", "way"),
        [("cloud", "self_hosted", "Cloud to BYOC"), ("self_hosted", "cloud", "BYOC to Cloud")],
    )
    def test_the_type_stays(self, http: httpx.Client, before: str, after: str, way: str) -> None:
        made = create(http, config={"type": before})
        refused(
            http.post(f"{URL}/{made['id']}", json={"config": {"type": after}}),
            400,
            f"Cannot change environment type from {way}",
            details={"error_code": "invalid_config_type_change"},
        )

    def test_metadata_counts_after_the_merge(self, http: httpx.Client) -> None:
        made = create(http, metadata={f"k{n}": "v" for n in range(16)})
        assert self.change(http, made, metadata={"k0": "", "new": "v"})["metadata"]["new"] == "v"
        refused(
            http.post(f"{URL}/{made['id']}", json={"metadata": {"more": "v"}}),
            400,
            "invalid metadata: metadata map would have 17 entries, exceeding the maximum of 16",
            details={"error_code": "invalid_metadata"},
        )


class TestLife:
    def test_archive(self, sdk: Anthropic, http: httpx.Client) -> None:
        made = sdk.beta.environments.create(name="A")
        archived = sdk.beta.environments.archive(made.id)
        assert archived.archived_at is not None
        assert sdk.beta.environments.archive(made.id) == archived
        assert sdk.beta.environments.retrieve(made.id) == archived
        with pytest.raises(anthropic.BadRequestError) as caught:
            sdk.beta.environments.update(made.id, name="B")
        assert caught.value.error_code == "environment_archived"  # type: ignore[attr-defined]
        shown = [one.id for one in sdk.beta.environments.list(limit=1000)]
        hidden = [one.id for one in sdk.beta.environments.list(limit=1000, include_archived=True)]
        assert made.id not in shown
        assert made.id in hidden

    def test_delete(self, sdk: Anthropic, http: httpx.Client) -> None:
        made = sdk.beta.environments.create(name="A")
        gone = sdk.beta.environments.delete(made.id)
        assert gone.to_dict() == {"id": made.id, "type": "environment_deleted"}
        answer = http.delete(f"{URL}/{made.id}")
        refused(answer, 404, f"Environment {made.id} not found.")
        assert answer.headers["x-should-retry"] == "false"

    def test_sessions_outlive_their_environment(self, sdk: Anthropic, agent: Any) -> None:
        made = sdk.beta.environments.create(name="A")
        session = sdk.beta.sessions.create(agent=agent.id, environment_id=made.id)
        sdk.beta.environments.delete(made.id)
        assert sdk.beta.sessions.retrieve(session.id).environment_id == made.id

    @pytest.mark.parametrize("bad", [ABSENT, "nonsense", "env_", "agent_011CZkYpogX7uDKUyvBTophP"])
    def test_absent(self, http: httpx.Client, bad: str) -> None:
        for answer in (
            http.get(f"{URL}/{bad}"),
            http.post(f"{URL}/{bad}", json={}),
            http.post(f"{URL}/{bad}/archive"),
            http.delete(f"{URL}/{bad}"),
        ):
            refused(answer, 404, f"Environment {bad} not found.")


class TestList:
    def test_pages(self, sdk: Anthropic, http: httpx.Client) -> None:
        made = [sdk.beta.environments.create(name=f"p{n}").id for n in range(5)]
        page = sdk.beta.environments.list(limit=2)
        seen = [one.id for one in page.data]
        for _ in range(2):
            sdk.beta.environments.create(name="late")
            page = page.get_next_page()
            seen += [one.id for one in page.data]
        assert seen[:5] == made[::-1]

    def test_the_last_page_says_null(self, http: httpx.Client) -> None:
        page = http.get(URL, params={"limit": "1000", "include_archived": "true"}).json()
        assert page["next_page"] is None

    @pytest.mark.parametrize("value", ["0", "1001"])
    def test_limit(self, http: httpx.Client, value: str) -> None:
        refused(
            http.get(URL, params={"limit": value}),
            400,
            "limit: value must be greater than or equal to 1 and less than or equal to 1000",
        )

    def test_cursors_of_other_lists(self, http: httpx.Client, sdk: Anthropic) -> None:
        for n in range(2):
            sdk.beta.agents.create(name=f"a{n}", model="m")
        cursor = sdk.beta.agents.list(limit=1).next_page
        refused(http.get(URL, params={"page": cursor}), 400, "page: invalid or expired page cursor")
