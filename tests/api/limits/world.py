"""What the requests of the table need to be there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import httpx2 as httpx

from tests.api.limits.agents import NAMED, TOOLSET
from tests.api.limits.deployments import DEPLOYED
from tests.api.limits.organization import BETA, HOOK, ROOT
from tests.api.limits.profiles import BETA as TUNNELS
from tests.api.limits.vaults import BEARER, OAUTH, REFRESH, VARIABLE
from tests.support.running import Served
from tests.support.workers import mint_key, served_database

_NAME = re.compile(r"\{([a-z_]+)(\d*)\}")
_EACH_TIME = frozenset({"fresh", "asking", "new_vault", "new_store"})
"""Made anew for each request."""


class World:
    """Makes what is named when it is first needed."""

    def __init__(self, served: Served, http: httpx.Client) -> None:
        self._served = served
        self._http = http
        self._made: dict[str, str] = {}

    def fill(self, template: Any) -> Any:
        """The template with what it names."""
        if isinstance(template, str):
            # Values are long; names are short.
            if len(template) > 200:
                return template
            return _NAME.sub(lambda match: self._get(match[1], match[2]), template)
        if isinstance(template, dict):
            return {key: self.fill(value) for key, value in template.items()}
        if isinstance(template, list):
            return [self.fill(value) for value in template]
        return template

    def _get(self, kind: str, number: str) -> str:
        name = kind + number
        if name not in self._made or kind in _EACH_TIME:
            make: Callable[[], str] = getattr(self, f"_{kind}")
            self._made[name] = make()
        return self._made[name]

    def post(self, path: str, body: Any, **headers: str) -> Any:
        answer = self._http.post(self.fill(path), json=self.fill(body), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def _id(self, path: str, body: Any) -> str:
        made: str = self.post(path, body)["id"]
        return made

    def _agent(self) -> str:
        return self._id("/v1/agents", {**NAMED, "tools": [TOOLSET]})

    _other_agent = _agent

    def _environment(self) -> str:
        return self._id("/v1/environments", {"name": "limits"})

    def _session(self) -> str:
        return self._id(
            "/v1/sessions", {"agent": "{other_agent}", "environment_id": "{environment}"}
        )

    _fresh = _dreamer = _session

    def _asking(self) -> str:
        """A session that waits to be told whether a tool may run."""
        tools = [{**TOOLSET, "default_config": {"permission_policy": {"type": "always_ask"}}}]
        agent = self._id("/v1/agents", {**NAMED, "tools": tools})
        session = self._id("/v1/sessions", {"agent": agent, "environment_id": "{environment}"})
        ask = {"type": "text", "text": '/tool write {"file_path": "/x", "content": ""}'}
        path = f"/v1/sessions/{session}/events"
        self.post(path, {"events": [{"type": "user.message", "content": [ask]}]})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for event in self._http.get(path).json()["data"]:
                if event["type"] == "session.status_idle":
                    (self._made["asked"],) = event["stop_reason"]["event_ids"]
                    return session
            time.sleep(0.01)
        raise AssertionError("the session does not ask")

    def _file(self) -> str:
        answer = self._http.post("/v1/files", files={"file": ("a.txt", b"x", "text/plain")})
        made: str = answer.json()["id"]
        return made

    def _cloned(self) -> str:
        url = "https://github.com/owner/repository"
        resource = {"type": "github_repository", "url": url, "authorization_token": "x"}
        made = self.post(
            "/v1/sessions",
            {
                "agent": "{other_agent}",
                "environment_id": "{environment}",
                "resources": [resource],
            },
        )
        self._made["clone"] = made["resources"][0]["id"]
        return str(made["id"])

    def _vault(self) -> str:
        return self._id("/v1/vaults", {"display_name": "limits"})

    _new_vault = _vault

    def _bearer(self) -> str:
        return self._credential(BEARER)

    def _oauth(self) -> str:
        endpoint_auth = {"type": "client_secret_post", "client_secret": "x"}
        refresh = {**REFRESH, "token_endpoint_auth": endpoint_auth}
        url = "https://mcp.example/oauth"
        return self._credential({**OAUTH, "mcp_server_url": url, "refresh": refresh})

    def _variable(self) -> str:
        return self._credential(VARIABLE)

    def _credential(self, auth: Any) -> str:
        return self._id("/v1/vaults/{vault0}/credentials", {"auth": auth})

    def _store(self) -> str:
        return self._id("/v1/memory_stores", {"name": "limits"})

    _new_store = _dreamt = _store

    def _memory(self) -> str:
        path = "/v1/memory_stores/{store0}/memories"
        return self._id(path, {"path": "/first", "content": "first"})

    def _deployment(self) -> str:
        return self._id("/v1/deployments", DEPLOYED)

    def _own(self) -> str:
        """A self-hosted environment, and the key of its workers."""
        config = {"type": "self_hosted"}
        own = self._id("/v1/environments", {"name": "limits", "config": config})
        self._made["worker_key"], _ = mint_key(served_database(self._served), own)
        return own

    def _work(self) -> str:
        """An item of the environment's queue."""
        said = {"type": "user.message", "content": [{"type": "text", "text": "hello"}]}
        wanted = {"agent": "{other_agent}", "environment_id": "{own}", "initial_events": [said]}
        self.post("/v1/sessions", wanted)
        (item,) = self._http.get(self.fill("/v1/environments/{own}/work")).json()["data"]
        return str(item["id"])

    def _workspace(self) -> str:
        return self._id(f"{ROOT}/workspaces", {"name": "limits"})

    def _webhook(self) -> str:
        body = {"url": HOOK, "enabled_events": ["agent.created"]}
        return str(self.post(f"{ROOT}/webhooks", body, **BETA)["id"])

    def _key(self) -> str:
        (first, *_) = self._http.get(f"{ROOT}/api_keys").json()["data"]
        return str(first["id"])

    def _tunnel(self) -> str:
        return str(self.post("/v1/tunnels", {}, **TUNNELS)["id"])
