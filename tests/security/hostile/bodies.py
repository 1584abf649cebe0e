"""Texts that are no JSON, or JSON that nobody should take."""

from __future__ import annotations

from typing import Any

from tests.security.hostile.kinds import KEY, Hostile, post

AGENTS = "/v1/agents"
SESSIONS = "/v1/sessions"
EVENTS = "/v1/sessions/@session@/events"
MEMORIES = "/v1/memory_stores/@store@/memories"
VAULTS = "/v1/vaults"
MEGABYTE = 1_000_000


def agent(**fields: Any) -> dict[str, Any]:
    return {"name": "hostile", "model": "claude-opus-5", **fields}


def tool(schema: bytes) -> bytes:
    """An agent with a custom tool that takes this."""
    return (
        b'{"name":"hostile","model":"claude-opus-5","tools":[{"type":"custom","name":"t",'
        b'"description":"d","input_schema":' + schema + b"}]}"
    )


def message(text: bytes) -> bytes:
    return b'{"events":[{"type":"user.message","content":[{"type":"text","text":' + text + b"}]}]}"


def nested(depth: int) -> bytes:
    return b'{"properties":' * depth + b"{}" + b"}" * depth


TITLED = b'{"agent":"@agent@","environment_id":"@environment@","title":%b}'
NAMED = b'{"name":%b,"model":"claude-opus-5"}'
VERSION = b'{"version":%b}'
UPDATE = "/v1/agents/@agent@"
MEMORY = b'{"path":"/a","content":%b}'

DEEP = [
    post("a schema a thousand deep", AGENTS, tool(nested(1000))),
    post("a schema a hundred thousand deep", AGENTS, lambda: tool(nested(100_000))),
    post("a message a thousand deep", EVENTS, message(b"[" * 1000 + b"]" * 1000)),
    post("metadata a thousand deep", VAULTS, b'{"metadata":' + nested(1000) + b"}"),
    post("brackets that never close", EVENTS, lambda: b"[" * MEGABYTE),
    post("braces that never close", MEMORIES, lambda: b'{"":' * MEGABYTE),
    post("brackets in turn", SESSIONS, b'[{"a":' * 5000 + b"1" + b"}]" * 5000),
    post("closing only", SESSIONS, lambda: b"]" * MEGABYTE),
]

NUMBERS = [
    post("2^63", UPDATE, VERSION % b"9223372036854775808"),
    post("-2^63-1", UPDATE, VERSION % b"-9223372036854775809"),
    post("2^31", UPDATE, VERSION % b"2147483648"),
    post("a number of a million digits", UPDATE, lambda: VERSION % (b"9" * MEGABYTE)),
    post("a fraction of a million digits", UPDATE, lambda: VERSION % (b"0." + b"9" * MEGABYTE)),
    post("an exponent of a million digits", UPDATE, lambda: VERSION % (b"1e" + b"9" * MEGABYTE)),
    post("1e400", UPDATE, VERSION % b"1e400"),
    post("-1e400", UPDATE, VERSION % b"-1e400"),
    post("1e0 for a whole number", UPDATE, VERSION % b"1e0"),
    post("1.0 for a whole number", UPDATE, VERSION % b"1.0"),
    post("1.5 for a whole number", UPDATE, VERSION % b"1.5"),
    post("true for a number", UPDATE, VERSION % b"true"),
    post("a text for a number", UPDATE, VERSION % b'"1"'),
    post("zero", UPDATE, VERSION % b"0"),
    post("minus zero", UPDATE, VERSION % b"-0"),
    post("minus one", UPDATE, VERSION % b"-1"),
    post("a leading zero", UPDATE, VERSION % b"01"),
    post("a plus sign", UPDATE, VERSION % b"+1"),
    post("hexadecimal", UPDATE, VERSION % b"0x1"),
    post("no digit before the point", UPDATE, VERSION % b".5"),
    post("no digit behind the point", UPDATE, VERSION % b"1."),
    post("underscores", UPDATE, VERSION % b"1_0"),
    post("fullwidth digits", UPDATE, VERSION % "１".encode()),  # noqa: RUF001
    post("NaN in a schema", AGENTS, tool(b'{"type":"object","default":NaN}')),
    post("Infinity in a schema", AGENTS, tool(b'{"type":"object","maximum":Infinity}')),
    post("-Infinity in a schema", AGENTS, tool(b'{"type":"object","minimum":-Infinity}')),
    post("1e999 in a schema", AGENTS, tool(b'{"type":"object","maximum":1e999}')),
    post("nan in lower case", AGENTS, tool(b'{"type":"object","maximum":nan}')),
]

CHARACTERS = [
    post("NUL in a title", SESSIONS, TITLED % rb'"a\u0000b"'),
    post("NUL in a message", EVENTS, message(rb'"\u0000"')),
    post("NUL in a memory", MEMORIES, MEMORY % rb'"\u0000"'),
    post("NUL in metadata", VAULTS, rb'{"display_name":"a","metadata":{"k":"\u0000"}}'),
    post("NUL in a key of metadata", VAULTS, rb'{"display_name":"a","metadata":{"\u0000":"v"}}'),
    post("NUL deep in a schema", AGENTS, tool(rb'{"type":"object","title":"\u0000"}')),
    post("a real NUL in a text", AGENTS, NAMED % b'"a\0b"'),
    post("a real NUL behind the end", AGENTS, NAMED % b'"a"' + b"\0"),
    post("nothing but NUL", AGENTS, lambda: b"\0" * MEGABYTE),
    post("a lone high surrogate", SESSIONS, TITLED % rb'"\ud83d"'),
    post("a lone low surrogate", SESSIONS, TITLED % rb'"\ude00"'),
    post("surrogates the wrong way round", EVENTS, message(rb'"\ude00\ud83d"')),
    post("a surrogate in a memory", MEMORIES, MEMORY % rb'"\udfff"'),
    post("a surrogate in a path", MEMORIES, rb'{"path":"/\ud800","content":""}'),
    post("a surrogate for a key", VAULTS, rb'{"display_name":"a","metadata":{"\udead":"v"}}'),
    post("a surrogate in a schema", AGENTS, tool(rb'{"type":"object","enum":["\ud800"]}')),
    post("a surrogate as UTF-8", AGENTS, NAMED % b'"\xed\xa0\x80"'),
    post("an overlong slash", AGENTS, NAMED % b'"\xc0\xaf"'),
    post("an overlong NUL", AGENTS, NAMED % b'"\xc0\x80"'),
    post("beyond Unicode", AGENTS, NAMED % b'"\xf4\x90\x80\x80"'),
    post("half a character", AGENTS, NAMED % b'"\xf0\x9f\x98"'),
    post("a lone continuation", AGENTS, NAMED % b'"\x80"'),
    post("Latin-1", AGENTS, NAMED % '"käse"'.encode("latin-1")),
    post("UTF-16 with a mark", AGENTS, '{"name":"a"}'.encode("utf-16")),
    post("UTF-16 without one", AGENTS, '{"name":"a"}'.encode("utf-16-be")),
    post("UTF-32", AGENTS, '{"name":"a"}'.encode("utf-32-le")),
    post("a body in UTF-7", AGENTS, b"+AHsAIgBuACIAOgAxAH0-"),
    post("UTF-8 with a mark", AGENTS, b"\xef\xbb\xbf" + NAMED % b'"a"'),
    post("a real line break in a text", AGENTS, NAMED % b'"a\nb"'),
    post("a real tab in a text", AGENTS, NAMED % b'"a\tb"'),
    post("an escape that is none", AGENTS, NAMED % rb'"\x41"'),
    post("an escape that breaks off", AGENTS, NAMED % rb'"\u00"'),
    post("a control character in a name", "/v1/memory_stores", rb'{"name":"a\u0007b"}'),
    post("a line separator in a path", MEMORIES, rb'{"path":"/a\u2028b","content":""}'),
    post("a direction mark in a path", MEMORIES, rb'{"path":"/a\u202eb","content":""}'),
    post("a zero-width joiner in a path", MEMORIES, rb'{"path":"/a\u200db","content":""}'),
    post("a path not in normal form", MEMORIES, rb'{"path":"/e\u0301","content":""}'),
    post("a noncharacter's worth of accents", MEMORIES, ('{"path":"/a' + "\u0301" * 400 + '","content":""}').encode()),
]  # fmt: skip

TEXTS = [
    post("two documents", AGENTS, NAMED % b'"a"' + NAMED % b'"b"'),
    post("a document a line", AGENTS, NAMED % b'"a"' + b"\n" + NAMED % b'"b"'),
    post("rubbish behind the end", AGENTS, NAMED % b'"a"' + b"garbage"),
    post("a comma too many", AGENTS, b'{"name":"a","model":"m",}'),
    post("a comma too few", AGENTS, b'{"name":"a" "model":"m"}'),
    post("single quotes", AGENTS, b"{'name':'a','model':'m'}"),
    post("no quotes", AGENTS, b"{name:1}"),
    post("comments", AGENTS, b'{"name":"a"/* no */,"model":"m"}'),
    post("undefined", AGENTS, NAMED % b"undefined"),
    post("a call", AGENTS, b"callback(" + NAMED % b'"a"' + b")"),
    post("a guard against scripts", AGENTS, b")]}'\n" + NAMED % b'"a"'),
    post("XML", AGENTS, b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'),
    post("YAML", AGENTS, b"name: !!python/object/apply:os.system ['id']\n"),
    post("a pickle", AGENTS, b"cposix\nsystem\n(S'id'\ntR."),
    post("a body of a form", AGENTS, b"name=a&model=m"),
    post("a template", AGENTS, b"{{7*7}}"),
    post("gzip that says nothing of it", AGENTS, b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"),
    post("MessagePack", AGENTS, b"\x82\xa4name\xa1a\xa5model\xa1m"),
    post("a field twice, far down", AGENTS, tool(b'{"type":"object","a":{"b":1,"b":2}}')),
    post("a field twice, escaped once", AGENTS, rb'{"name":"a","n\u0061me":"b","model":"m"}'),
    post("type twice", EVENTS, b'{"events":[{"type":"user.message","type":"user.interrupt"}]}'),
    post("a tool's type twice", AGENTS, tool(b'{"type":"object","type":"object"}')),
    post("metadata twice", VAULTS, b'{"display_name":"a","metadata":{"k":"a","k":"b"}}'),
    post("__proto__", AGENTS, {**agent(), "__proto__": {"admin": True}}),
    post("constructor", AGENTS, {**agent(), "constructor": {"prototype": {}}}),
    post("__class__", AGENTS, {**agent(), "__class__": "os.system"}),
    post("an empty name of a field", AGENTS, {**agent(), "": 1}),
    post("a name of a field of a megabyte", AGENTS, lambda: b'{"' + b"k" * MEGABYTE + b'":1}'),
    post("another's workspace", AGENTS, agent(workspace_id="wrkspc_other")),
    post("an id of one's own", AGENTS, agent(id="agent_mine")),
    post("a moment of one's own", AGENTS, agent(created_at="1970-01-01T00:00:00Z")),
    post("archived at once", VAULTS, {"display_name": "a", "archived_at": None}),
]


def many(item: bytes, count: int) -> bytes:
    return b"[" + b",".join([item] * count) + b"]"


GIANT = [
    post("a million events", EVENTS, lambda: b'{"events":' + many(b"{}", MEGABYTE) + b"}"),
    post("a hundred thousand messages", EVENTS, lambda: b'{"events":' + many(b'{"type":"user.interrupt"}', 100_000) + b"}"),
    post("a hundred thousand tools", AGENTS, lambda: b'{"name":"a","model":"m","tools":' + many(b'{"type":"custom"}', 100_000) + b"}"),
    post("a hundred thousand vaults", SESSIONS, lambda: b'{"agent":"@agent@","environment_id":"@environment@","vault_ids":' + many(b'"vlt_x"', 100_000) + b"}"),
    post("a hundred thousand resources", SESSIONS, lambda: b'{"agent":"@agent@","environment_id":"@environment@","resources":' + many(b'{"type":"file","file_id":"x"}', 100_000) + b"}"),
    post("a hundred thousand hosts", "/v1/environments", lambda: b'{"name":"a","config":{"type":"cloud","networking":{"type":"limited","allowed_hosts":' + many(b'"a.example"', 100_000) + b"}}}"),
    post("a hundred thousand packages", "/v1/environments", lambda: b'{"name":"a","config":{"type":"cloud","packages":{"pip":' + many(b'"a"', 100_000) + b"}}}"),
    post("a hundred thousand labels", VAULTS, lambda: b'{"display_name":"a","metadata":{' + b",".join(b'"%d":""' % n for n in range(100_000)) + b"}}"),
    post("a hundred thousand unknown fields", AGENTS, lambda: b"{" + b",".join(b'"f%d":0' % n for n in range(100_000)) + b"}"),
    post("a name of ten megabytes", AGENTS, lambda: NAMED % (b'"' + b"x" * 10 * MEGABYTE + b'"')),
    post("a name of ten megabytes of escapes", AGENTS, lambda: NAMED % (b'"' + rb"\u0041" * 1_600_000 + b'"')),
    post("a model of ten megabytes", AGENTS, lambda: b'{"name":"a","model":"' + b"x" * 10 * MEGABYTE + b'"}'),
    post("an id of ten megabytes", SESSIONS, lambda: b'{"agent":"' + b"x" * 10 * MEGABYTE + b'","environment_id":"e"}'),
    post("a type of ten megabytes", EVENTS, lambda: b'{"events":[{"type":"' + b"x" * 10 * MEGABYTE + b'"}]}'),
    post("a memory of ten megabytes", MEMORIES, lambda: MEMORY % (b'"' + b"x" * 10 * MEGABYTE + b'"')),
    post("a path of ten megabytes", MEMORIES, lambda: b'{"path":"' + b"/a" * 5 * MEGABYTE + b'","content":""}'),
    post("a token of ten megabytes", "/v1/vaults/@vault@/credentials", lambda: b'{"auth":{"type":"static_bearer","mcp_server_url":"https://a.example","token":"' + b"x" * 10 * MEGABYTE + b'"}}'),
    post("a picture that is none, of ten megabytes", EVENTS, lambda: b'{"events":[{"type":"user.message","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"' + b"A" * 10 * MEGABYTE + b'!"}}]}]}'),
    post("ten megabytes of spaces", AGENTS, lambda: b" " * 10 * MEGABYTE),
    post("more than a body may have", AGENTS, lambda: NAMED % (b'"' + b"x" * (32 << 20) + b'"')),
    post("more than an action's body may have", "/v1/agents/@agent@/archive", lambda: b" " * ((32 << 20) + 1)),
    post("an action with a body", "/v1/agents/@agent@/archive", {"force": True}),
    post("an action with an array", "/v1/agents/@agent@/archive", []),
    Hostile("no body", "POST", EVENTS, b"", {**KEY, "content-type": "application/json"}),
]  # fmt: skip

ALL = [*DEEP, *NUMBERS, *CHARACTERS, *TEXTS, *GIANT]
