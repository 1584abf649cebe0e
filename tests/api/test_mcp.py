"""MCP toolsets through the official SDK, against real MCP servers on loopback."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from anthropic import Anthropic

from freehold.core.mcp import wire_name
from tests.api.conftest import said, turn
from tests.support.mcp_servers import LONG_NAME, Door, mcp_server
from tests.support.running import free_port

ALLOW = {"permission_policy": {"type": "always_allow"}}


@pytest.fixture
def door() -> Iterator[Door]:
    with mcp_server() as served:
        yield served


def agent_of(sdk: Anthropic, urls: dict[str, str], **toolset: Any) -> Any:
    return sdk.beta.agents.create(
        name="Connected",
        model="claude-opus-5",
        mcp_servers=[{"type": "url", "name": name, "url": url} for name, url in urls.items()],
        tools=[{"type": "mcp_toolset", "mcp_server_name": name, **toolset} for name in urls],
    )


def session_of(
    sdk: Anthropic,
    environment: Any,
    urls: dict[str, str],
    vaults: Sequence[str] = (),
    **toolset: Any,
) -> Any:
    agent = agent_of(sdk, urls, **toolset)
    return sdk.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, vault_ids=list(vaults)
    )


def types(events: list[Any]) -> list[str]:
    return [event.type for event in events]


def only(events: list[Any], kind: str) -> Any:
    (found,) = [event for event in events if event.type == kind]
    return found


def vault_with(sdk: Anthropic, **auth: Any) -> str:
    vault = sdk.beta.vaults.create(display_name="keys")
    sdk.beta.vaults.credentials.create(vault.id, auth=auth)  # type: ignore[arg-type]
    return vault.id


def test_a_tool_that_is_allowed_runs(sdk: Anthropic, environment: Any, door: Door) -> None:
    session = session_of(sdk, environment, {"things": door.mcp}, default_config=ALLOW)
    seen = turn(sdk, session.id, said('/tool mcp__things__add {"a": 2, "b": 3}'))
    assert types(seen) == [
        "session.status_running",
        "session.thread_status_running",
        "user.message",
        "span.model_request_start",
        "agent.mcp_tool_use",
        "span.model_request_end",
        "agent.mcp_tool_result",
        "span.model_request_start",
        "agent.message",
        "span.model_request_end",
        "session.thread_status_idle",
        "session.usage",
        "session.status_idle",
    ]
    use = only(seen, "agent.mcp_tool_use")
    assert (use.name, use.mcp_server_name, use.input) == ("add", "things", {"a": 2, "b": 3})
    assert (use.evaluated_permission, use.evaluation.type) == ("allow", "always_allow")
    result = only(seen, "agent.mcp_tool_result")
    assert (result.mcp_tool_use_id, result.is_error) == (use.id, False)
    assert [block.text for block in result.content] == ["5"]
    assert "5" in only(seen, "agent.message").content[0].text


def test_the_default_is_to_ask_and_both_answers_are_obeyed(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    session = session_of(sdk, environment, {"things": door.mcp})
    for answer in ({"result": "allow"}, {"result": "deny", "deny_message": "no sums"}):
        asked = turn(sdk, session.id, said('/tool mcp__things__add {"a": 1, "b": 1}'))
        use = only(asked, "agent.mcp_tool_use")
        assert (use.evaluated_permission, use.evaluation.type) == ("ask", "always_ask")
        assert asked[-1].stop_reason.event_ids == [use.id]
        confirmation = {"type": "user.tool_confirmation", "tool_use_id": use.id, **answer}
        result = only(turn(sdk, session.id, confirmation), "agent.mcp_tool_result")
        if answer["result"] == "allow":
            assert (result.content[0].text, result.is_error) == ("2", False)
        else:
            assert result.is_error
            assert result.content[0].text == (
                "Permission to use add has been rejected. Rejection message: no sums"
            )
    assert door.counts["add"] == 1


def test_policies_of_single_tools_and_tools_that_are_off(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    session = session_of(
        sdk,
        environment,
        {"things": door.mcp},
        configs=[{"name": "add", **ALLOW}, {"name": "picture", "enabled": False}],
    )
    seen = turn(sdk, session.id, said('/tool mcp__things__add {"a": 1, "b": 4}'))
    assert only(seen, "agent.mcp_tool_use").evaluated_permission == "allow"
    for name in ("picture", "nothing"):
        seen = turn(sdk, session.id, said(f"/tool mcp__things__{name}"))
        use = only(seen, "agent.mcp_tool_use")
        assert (use.name, use.evaluated_permission, use.evaluation) == (name, "deny", None)
        result = only(seen, "agent.mcp_tool_result")
        assert result.content[0].text == f"Permission to use {name} has been denied."


def test_names_longer_than_the_model_api_takes(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    session = session_of(sdk, environment, {"things": door.mcp}, default_config=ALLOW)
    name = wire_name("things", LONG_NAME)
    assert len(name) == 64
    seen = turn(sdk, session.id, said(f"/tool {name}"))
    assert only(seen, "agent.mcp_tool_use").name == LONG_NAME
    assert only(seen, "agent.mcp_tool_result").content[0].text == "long"


def test_what_tools_answer(sdk: Anthropic, environment: Any, door: Door) -> None:
    session = session_of(sdk, environment, {"things": door.mcp}, default_config=ALLOW)

    def result(tool: str) -> Any:
        seen = turn(sdk, session.id, said(f"/tool mcp__things__{tool}"))
        return only(seen, "agent.mcp_tool_result")

    (image,) = result("picture").content
    assert (image.type, image.source.type, image.source.media_type) == (
        "image",
        "base64",
        "image/png",
    )
    assert [block.text for block in result("everything").content] == [
        "  spaced\n",
        "[image: image/tiff, 5 bytes; it cannot be shown]",
        "[audio: audio/wav, 5 bytes; it cannot be shown]",
        "[resource link file:///report.txt: report; text/plain]",
        "[resource file:///a]\ninside",
        "[resource file:///b: a/b, 5 bytes; it cannot be shown]",
    ]
    broken = result("break_it")
    assert broken.is_error
    assert "it broke" in broken.content[0].text


def test_a_result_too_long_for_the_model_is_in_a_file(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    def result(*tools: Any) -> str:
        agent = sdk.beta.agents.create(
            name="Reader",
            model="claude-opus-5",
            mcp_servers=[{"type": "url", "name": "things", "url": door.mcp}],
            tools=[
                {"type": "mcp_toolset", "mcp_server_name": "things", "default_config": ALLOW},
                *tools,
            ],
        )
        session = sdk.beta.sessions.create(agent=agent.id, environment_id=environment.id)
        script = '/tool mcp__things__novel {"length": 150000}'
        if tools:
            script += "\n/run cat /tmp/tool_outputs/*.txt | tail -c 8"
        seen = turn(sdk, session.id, said(script))
        assert seen[-1].stop_reason.type == "end_turn"
        if tools:
            assert "xxx end" in only(seen, "agent.tool_result").content[0].text
        (block,) = only(seen, "agent.mcp_tool_result").content
        assert len(block.text) < 15_000
        assert block.text.endswith("x end")
        text: str = block.text
        return text

    assert "It is in /tmp/tool_outputs/" in result({"type": "agent_toolset_20260401"})
    # An agent without tools to read it with has no sandbox.
    assert "could not be kept" in result()


def test_servers_that_fail_are_told_once_a_run_and_asked_again_in_the_next(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    gone = f"http://127.0.0.1:{free_port()}/mcp"
    door.status = 503
    session = session_of(sdk, environment, {"broken": door.mcp, "gone": gone}, default_config=ALLOW)
    for _ in range(2):
        seen = turn(sdk, session.id, said('/tool mcp__broken__add {"a": 1, "b": 1}'))
        errors = [event.error for event in seen if event.type == "session.error"]
        assert [(e.type, e.mcp_server_name, e.retry_status.type) for e in errors] == [
            ("mcp_connection_failed_error", "broken", "retrying"),
            ("mcp_connection_failed_error", "gone", "retrying"),
        ]
        assert set(errors[0].model_dump()) == {
            "type",
            "mcp_server_name",
            "message",
            "retry_status",
        }
        assert errors[0].message == "the MCP server answered HTTP 503"
        # Said before the model is asked.
        assert types(seen).index("session.error") < types(seen).index("span.model_request_start")
        assert seen[-1].stop_reason.type == "end_turn"
        assert only(seen, "agent.mcp_tool_use").evaluated_permission == "deny"
    door.status = None
    seen = turn(sdk, session.id, said('/tool mcp__broken__add {"a": 1, "b": 1}'))
    assert [event.error.mcp_server_name for event in seen if event.type == "session.error"] == [
        "gone"
    ]
    assert only(seen, "agent.mcp_tool_result").content[0].text == "2"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "mcp_authentication_failed_error"),
        (403, "mcp_connection_failed_error"),
        (407, "mcp_connection_failed_error"),
        (404, "mcp_connection_failed_error"),
    ],
)
def test_which_error_an_answer_is(
    sdk: Anthropic, environment: Any, door: Door, status: int, kind: str
) -> None:
    door.status = status
    session = session_of(sdk, environment, {"things": door.mcp})
    seen = turn(sdk, session.id, said("hello"))
    assert only(seen, "session.error").error.type == kind
    assert seen[-1].stop_reason.type == "end_turn"


def test_a_host_that_does_not_exist(sdk: Anthropic, environment: Any) -> None:
    session = session_of(sdk, environment, {"things": "https://nowhere.invalid/mcp"})
    seen = turn(sdk, session.id, said("hello"))
    assert only(seen, "session.error").error.type == "mcp_connection_failed_error"


def test_a_server_of_the_older_transport(sdk: Anthropic, environment: Any) -> None:
    with mcp_server(sse=True) as door:
        session = session_of(sdk, environment, {"old": f"{door.url}/sse"}, default_config=ALLOW)
        seen = turn(sdk, session.id, said('/tool mcp__old__add {"a": 20, "b": 1}'))
        assert only(seen, "agent.mcp_tool_result").content[0].text == "21"


def test_a_server_with_sessions_that_forgets_them(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    door.legacy = True
    session = session_of(sdk, environment, {"things": door.mcp}, default_config=ALLOW)
    call = said('/tool mcp__things__add {"a": 1, "b": 1}')
    assert only(turn(sdk, session.id, call), "agent.mcp_tool_result").content[0].text == "2"
    door.forgetful = True
    assert only(turn(sdk, session.id, call), "agent.mcp_tool_result").content[0].text == "2"
    assert not door.forgetful
    assert door.counts["add"] == 2


def test_a_server_that_goes_away_between_two_calls(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    session = session_of(sdk, environment, {"things": door.mcp}, default_config=ALLOW)
    call = '/tool mcp__things__add {"a": 1, "b": 1}'
    assert not only(turn(sdk, session.id, said(call)), "agent.mcp_tool_result").is_error
    door.status = 502
    seen = turn(sdk, session.id, said(f"{call}\n/then\n{call}"))
    results = [event for event in seen if event.type == "agent.mcp_tool_result"]
    assert [result.is_error for result in results] == [True, True]
    assert results[0].content[0].text == "MCP server things: the MCP server answered HTTP 502."
    # Once a run, though two calls failed.
    assert only(seen, "session.error").error.type == "mcp_connection_failed_error"
    door.status = None
    assert not only(turn(sdk, session.id, said(call)), "agent.mcp_tool_result").is_error


def test_an_interrupt_ends_a_call(sdk: Anthropic, environment: Any, door: Door) -> None:
    session = session_of(sdk, environment, {"things": door.mcp}, default_config=ALLOW)
    events = sdk.beta.sessions.events
    with events.stream(session.id) as stream:
        events.send(session.id, events=[said("/tool mcp__things__slow")])  # type: ignore[list-item]
        seen: list[Any] = []
        for event in stream:
            seen.append(event)
            if event.type == "agent.mcp_tool_use":
                events.send(session.id, events=[{"type": "user.interrupt"}])
            if event.type == "session.status_idle":
                break
    result = only(seen, "agent.mcp_tool_result")
    assert result.is_error
    assert result.content[0].text == (
        "Tool execution was interrupted before completion. Please retry."
    )
    again = turn(sdk, session.id, said('/tool mcp__things__add {"a": 1, "b": 1}'))
    assert only(again, "agent.mcp_tool_result").content[0].text == "2"


def test_other_servers_by_an_update(sdk: Anthropic, environment: Any, door: Door) -> None:
    session = session_of(sdk, environment, {"things": door.mcp}, default_config=ALLOW)
    turn(sdk, session.id, said("hello"))
    with mcp_server() as other:
        sdk.beta.sessions.update(
            session.id,
            agent={
                "mcp_servers": [{"type": "url", "name": "others", "url": other.mcp}],
                "tools": [
                    {
                        "type": "mcp_toolset",
                        "mcp_server_name": "others",
                        "default_config": ALLOW,  # type: ignore[typeddict-item]
                    }
                ],
            },
        )
        seen = turn(sdk, session.id, said('/tool mcp__others__add {"a": 3, "b": 3}'))
        assert only(seen, "agent.mcp_tool_result").content[0].text == "6"
    assert "add" not in door.counts


def test_a_bearer_token_of_a_vault(sdk: Anthropic, environment: Any, door: Door) -> None:
    door.tokens = {"right-token-1234"}
    vault = vault_with(
        sdk,
        type="static_bearer",
        token="right-token-1234",
        mcp_server_url=door.mcp.upper().replace("/MCP", "/mcp") + "/",
    )
    urls = {"things": door.mcp}
    session = session_of(sdk, environment, urls, [vault], default_config=ALLOW)
    assert session.vault_ids == [vault]
    call = said('/tool mcp__things__add {"a": 1, "b": 6}')
    seen = turn(sdk, session.id, call)
    assert only(seen, "agent.mcp_tool_result").content[0].text == "7"
    assert set(door.seen) == {"Bearer right-token-1234"}

    # A rotated token reaches the running session.
    (credential,) = sdk.beta.vaults.credentials.list(vault)
    door.tokens = {"next-token-12345"}
    sdk.beta.vaults.credentials.update(
        credential.id, vault_id=vault, auth={"type": "static_bearer", "token": "next-token-12345"}
    )
    seen = turn(sdk, session.id, call)
    assert only(seen, "agent.mcp_tool_result").content[0].text == "7"

    # Without it the server is asked in vain.
    sdk.beta.vaults.credentials.archive(credential.id, vault_id=vault)
    seen = turn(sdk, session.id, call)
    assert only(seen, "agent.mcp_tool_result").is_error
    assert only(seen, "session.error").error.type == "mcp_authentication_failed_error"


def test_the_first_vault_with_a_credential_wins(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    door.tokens = {"token-number-one", "token-number-two"}
    empty = sdk.beta.vaults.create(display_name="empty").id
    first, second = (
        vault_with(sdk, type="static_bearer", token=token, mcp_server_url=door.mcp)
        for token in ("token-number-one", "token-number-two")
    )
    for order, token in (
        ([empty, first, second], "token-number-one"),
        ([second, first], "token-number-two"),
    ):
        door.seen.clear()
        session = session_of(sdk, environment, {"things": door.mcp}, order)
        turn(sdk, session.id, said("hello"))
        assert set(door.seen) == {f"Bearer {token}"}


@pytest.mark.parametrize("kind", ["none", "client_secret_basic", "client_secret_post"])
def test_oauth_tokens_are_renewed_when_the_server_rejects_them(
    sdk: Anthropic, environment: Any, door: Door, kind: Any
) -> None:
    secret = None if kind == "none" else "s:ecret/&%"
    door.tokens, door.auth, door.client = set(), kind, ("my client", secret)
    door.refresh_tokens = {
        "refresh-one": ("access-two", "refresh-two"),
        "refresh-two": ("access-three", None),
    }
    vault = vault_with(
        sdk,
        type="mcp_oauth",
        access_token="access-one",
        mcp_server_url=door.mcp,
        expires_at="2199-01-01T00:00:00Z",
        refresh={
            "token_endpoint": door.token_endpoint,
            "client_id": "my client",
            "refresh_token": "refresh-one",
            "scope": "read write",
            "resource": door.mcp,
            "token_endpoint_auth": {"type": kind, **({"client_secret": secret} if secret else {})},
        },
    )
    urls = {"things": door.mcp}
    session = session_of(sdk, environment, urls, [vault], default_config=ALLOW)
    call = said('/tool mcp__things__add {"a": 5, "b": 4}')
    seen = turn(sdk, session.id, call)
    assert only(seen, "agent.mcp_tool_result").content[0].text == "9"
    assert door.seen[:2] == ["Bearer access-one", "Bearer access-two"]
    assert set(door.seen[2:]) == {"Bearer access-two"}
    (form,) = door.forms
    assert (form["grant_type"], form["scope"], form["resource"]) == (
        "refresh_token",
        "read write",
        door.mcp,
    )
    (credential,) = sdk.beta.vaults.credentials.list(vault)
    assert credential.auth.type == "mcp_oauth"
    assert credential.auth.expires_at is not None
    assert credential.auth.expires_at.year < 2199

    # The refresh token was replaced, and the next one is used.
    door.tokens = set()
    seen = turn(sdk, session.id, call)
    assert only(seen, "agent.mcp_tool_result").content[0].text == "9"
    assert door.seen[-1] == "Bearer access-three"

    # Nothing is left to renew it with.
    door.tokens = set()
    seen = turn(sdk, session.id, call)
    assert only(seen, "session.error").error.type == "mcp_authentication_failed_error"


def test_an_oauth_token_without_refresh_that_is_rejected(
    sdk: Anthropic, environment: Any, door: Door
) -> None:
    door.tokens = set()
    vault = vault_with(sdk, type="mcp_oauth", access_token="access-one", mcp_server_url=door.mcp)
    session = session_of(sdk, environment, {"things": door.mcp}, [vault])
    seen = turn(sdk, session.id, said("hello"))
    error = only(seen, "session.error").error
    assert error.type == "mcp_authentication_failed_error"
    assert error.message == "the MCP server refused the credential (HTTP 401)"
