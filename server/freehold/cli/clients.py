"""How a client is pointed at a server, in the languages that people ask for."""

from __future__ import annotations

from freehold.settings import Settings

BETA = "managed-agents-2026-04-01"


def example_key(settings: Settings) -> str:
    """What to write for the key: never a real one."""
    return "YOUR_FREEHOLD_KEY" if settings.api_keys else "anything"


def python(url: str, key: str) -> str:
    """The Python SDK."""
    return (
        "from anthropic import Anthropic\n"
        f'client = Anthropic(base_url="{url}", api_key="{key}")\n'
        'print(client.beta.agents.create(name="hello", model="claude-sonnet-5").id)'
    )


def typescript(url: str, key: str) -> str:
    """The TypeScript SDK."""
    return (
        'import Anthropic from "@anthropic-ai/sdk";\n'
        f'const client = new Anthropic({{ baseURL: "{url}", apiKey: "{key}" }});\n'
        'console.log((await client.beta.agents.create({ name: "hello", '
        'model: "claude-sonnet-5" })).id);'
    )


def curl(url: str, key: str) -> str:
    """Plain HTTP."""
    return (
        f"curl {url}/v1/agents -H 'x-api-key: {key}' \\\n"
        f"  -H 'anthropic-version: 2023-06-01' -H 'anthropic-beta: {BETA}' \\\n"
        "  -H 'content-type: application/json' \\\n"
        """  -d '{"name": "hello", "model": "claude-sonnet-5"}'"""
    )
