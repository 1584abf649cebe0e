"""The list of models (spec 21), through both of the SDK's lanes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic

from freehold.core.model_listing import LISTED_MODELS
from tests.support.running import Served, serve

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Of the table below, in its order.
OWN = {
    "remote": "active",
    "old": "deprecated",
    "older": "retired",
    "claude-haiku-4-5": "active",
}
STAGES = OWN | {model.id: model.lifecycle for model in LISTED_MODELS}
SHOWN = [name for name, stage in STAGES.items() if stage != "retired"]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("models")
    (folder / "models.toml").write_text(
        """
[[models]]
id = "remote"
upstream = "claude-sonnet-4-6"
scripted = true
display_name = "From afar"
created_at = 2026-03-04
context_window = 12345

[[models]]
id = "old"
scripted = true
lifecycle = "deprecated"
deprecated_at = 2026-05-06
retires_at = 2027-01-02

[[models]]
id = "older"
scripted = true
lifecycle = "retired"

[[models]]
id = "claude-haiku-4-5"
scripted = true

[[models]]
id = "mine-*"
scripted = true
"""
    )
    with serve(folder / "data", models=folder / "models.toml") as running:
        yield running


@pytest.fixture(params=["models", "beta.models"])
def lane(request: pytest.FixtureRequest, sdk: Anthropic) -> Any:
    return sdk.models if request.param == "models" else sdk.beta.models


def ids(page: Any) -> list[str]:
    return [model.id for model in page]


class TestList:
    def test_the_user_s_own_come_first_then_the_known_ones(self, lane: Any) -> None:
        assert ids(lane.list(limit=1000)) == SHOWN

    def test_twenty_by_default(self, lane: Any) -> None:
        page = lane.list()
        assert ids(page.data) == SHOWN[:20]
        assert page.has_more is (len(SHOWN) > 20)

    @pytest.mark.parametrize("limit", [1, 3, 7])
    def test_every_page_follows_the_one_before(self, lane: Any, limit: int) -> None:
        assert ids(lane.list(limit=limit)) == SHOWN

    @pytest.mark.parametrize("limit", [1, 3, 7])
    def test_backwards(self, lane: Any, limit: int) -> None:
        seen: list[str] = []
        page = lane.list(before_id=SHOWN[-1], limit=limit)
        while page.data:
            seen = ids(page.data) + seen
            assert page.has_more is (seen[0] != SHOWN[0])
            page = lane.list(before_id=page.first_id, limit=limit)
        assert seen == SHOWN[:-1]

    def test_cursors_of_a_page(self, lane: Any) -> None:
        page = lane.list(limit=2)
        assert (page.first_id, page.last_id) == (SHOWN[0], SHOWN[1])
        assert page.has_more
        nothing = lane.list(after_id=LISTED_MODELS[-1].id)
        assert (nothing.data, nothing.first_id, nothing.last_id) == ([], None, None)
        assert not nothing.has_more

    @pytest.mark.parametrize(
        "stages",
        [
            ["active"],
            ["deprecated"],
            ["retired"],
            ["active", "deprecated"],
            ["active", "deprecated", "retired"],
        ],
    )
    def test_lifecycle(self, lane: Any, stages: Any) -> None:
        expected = [name for name, stage in STAGES.items() if stage in stages]
        assert len(expected) > 1
        assert ids(lane.list(limit=1000, lifecycle=stages)) == expected

    def test_a_cursor_may_name_what_the_filter_leaves_out(self, lane: Any) -> None:
        page = lane.list(limit=1000, lifecycle=["retired"], after_id="remote")
        assert ids(page) == [name for name, stage in STAGES.items() if stage == "retired"]

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("after_id=x&before_id=y", "Only one of after_id or before_id may be set."),
            ("after_id=nope", "after_id: no model nope is listed"),
            ("before_id=", "before_id: no model  is listed"),
            ("limit=0", "limit: value must be greater than or equal to 1 and less than or equal "),
            ("limit=1001", "limit: value must be greater than or equal to 1 and less than or eq"),
            ("lifecycle[]=x", 'Failed to parse request: lifecycle[0]: "x" is not a valid value'),
            ("&".join(["lifecycle[]=active"] * 4), "lifecycle: must contain at most 3 items"),
        ],
    )
    def test_a_bad_query_is_refused(self, http: httpx.Client, query: str, message: str) -> None:
        answer = http.get(f"/v1/models?{query}")
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].startswith(message)

    @pytest.mark.parametrize("limit", [1, 1000])
    def test_limits_at_their_ends(self, http: httpx.Client, limit: int) -> None:
        assert http.get(f"/v1/models?limit={limit}&beta=true").status_code == 200


class TestRetrieve:
    def test_a_model_of_the_table(self, lane: Any) -> None:
        model = lane.retrieve("remote")
        assert (model.display_name, model.line) == ("From afar", "sonnet")
        assert model.created_at == datetime(2026, 3, 4, tzinfo=UTC)
        assert (model.lifecycle, model.deprecated_at, model.retires_at) == ("active", None, None)
        assert (model.max_input_tokens, model.max_tokens) == (12_345, 64_000)

    def test_its_end_is_what_the_table_says(self, lane: Any) -> None:
        model = lane.retrieve("old")
        assert model.lifecycle == "deprecated"
        assert model.deprecated_at == datetime(2026, 5, 6, tzinfo=UTC)
        assert model.retires_at == datetime(2027, 1, 2, tzinfo=UTC)
        assert model.line is None

    def test_a_known_model(self, lane: Any) -> None:
        model = lane.retrieve("claude-opus-5")
        assert (model.id, model.display_name, model.line) == (
            "claude-opus-5",
            "Claude Opus 5",
            "opus",
        )
        assert (model.max_input_tokens, model.max_tokens) == (1_000_000, 128_000)
        assert model.created_at == datetime(2026, 7, 24, tzinfo=UTC)
        assert model.capabilities is None
        assert lane.retrieve("claude-fable-5-2").created_at == EPOCH

    def test_an_alias_is_resolved(self, lane: Any) -> None:
        model = lane.retrieve("claude-sonnet-4-5")
        assert (model.id, model.lifecycle) == ("claude-sonnet-4-5-20250929", "deprecated")
        assert model.retires_at == datetime(2026, 11, 30, tzinfo=UTC)

    def test_an_alias_that_the_table_sends_elsewhere_is_a_model_of_its_own(self, lane: Any) -> None:
        model = lane.retrieve("claude-haiku-4-5")
        assert (model.id, model.display_name) == ("claude-haiku-4-5", "Claude Haiku 4.5")
        dated = lane.retrieve("claude-haiku-4-5-20251001")
        assert dated.id == "claude-haiku-4-5-20251001"

    def test_a_retired_one_is_on_record(self, lane: Any) -> None:
        model = lane.retrieve("claude-opus-4-1")
        assert (model.id, model.lifecycle) == ("claude-opus-4-1-20250805", "retired")

    def test_one_that_a_pattern_takes_is_there_without_being_listed(self, lane: Any) -> None:
        assert lane.retrieve("mine-anything/at:all").line is None

    def test_no_such_model(self, lane: Any, http: httpx.Client) -> None:
        with pytest.raises(anthropic.NotFoundError):
            lane.retrieve("gpt-x")
        answer = http.get("/v1/models/gpt-x")
        assert answer.json()["error"] == {"type": "not_found_error", "message": "model: gpt-x"}


FALLBACKS = {"anthropic-beta": "server-side-fallback-2026-07-01"}


def test_fallbacks_are_a_field_for_those_who_name_their_beta(http: httpx.Client) -> None:
    for path in ("/v1/models/remote", "/v1/models?limit=1"):
        plain = http.get(path, headers={"anthropic-beta": ""}).json()
        named = http.get(path, headers=FALLBACKS).json()
        assert "allowed_fallback_models" not in plain.get("data", [plain])[0]
        assert named.get("data", [named])[0]["allowed_fallback_models"] is None
