"""Headers that say what is not so, and bytes that are no HTTP."""

from __future__ import annotations

import gzip
from dataclasses import replace

from tests.security.hostile.kinds import JSON, KEY, PLAIN, Hostile, get, post, raw

AGENTS = "/v1/agents"
AGENT = b'{"name":"hostile","model":"claude-opus-5"}'
ALLOWED = "anthropic-beta: managed-agents-2026-04-01\r\nx-api-key: test\r\n"


def keyed(**headers: str) -> dict[str, str]:
    return {**KEY, **{name.replace("_", "-"): value for name, value in headers.items()}}


def typed(name: str, content_type: str) -> Hostile:
    return post(name, AGENTS, AGENT, content_type=content_type)


HEADERS = [
    get("no key", AGENTS, {"anthropic-beta": KEY["anthropic-beta"]}),
    get("an empty key", AGENTS, keyed(x_api_key="")),
    get("a key of spaces", AGENTS, keyed(x_api_key="   ")),
    get("a password for a key", AGENTS, {"anthropic-beta": KEY["anthropic-beta"], "authorization": "Basic YTpi"}),
    get("a bearer of nothing", AGENTS, {"anthropic-beta": KEY["anthropic-beta"], "authorization": "Bearer "}),
    get("a digest for a key", AGENTS, {"anthropic-beta": KEY["anthropic-beta"], "authorization": "Digest username=a"}),
    get("a workspace that is a path", AGENTS, keyed(anthropic_workspace_id="../../x")),
    get("a workspace of another kind", AGENTS, keyed(anthropic_workspace_id="agent_011CZkYpogX7uDKUyvBTophP")),
    get("another workspace", AGENTS, keyed(anthropic_workspace_id="wrkspc_011CZkYpogX7uDKUyvBTophP")),
    get("a workspace of SQL", AGENTS, keyed(anthropic_workspace_id="' OR 1=1")),
    get("an empty workspace", AGENTS, keyed(anthropic_workspace_id="")),
    get("an unknown beta", AGENTS, keyed(anthropic_beta="managed-agents-2026-04-01,evil-2026-01-01")),
    get("a beta of a script", AGENTS, keyed(anthropic_beta="<script>")),
    get("a beta of ten thousand letters", AGENTS, keyed(anthropic_beta="b" * 10_000)),
    get("five thousand betas", AGENTS, keyed(anthropic_beta=",".join(f"b{n}" for n in range(5000)))),
    get("no beta", AGENTS, PLAIN),
    get("another family's beta", AGENTS, {**PLAIN, "anthropic-beta": "dreaming-2026-04-21"}),
    get("both betas of memory", "/v1/memory_stores", keyed(anthropic_beta="managed-agents-2026-04-01,agent-memory-2026-07-22")),
    get("another method by a header", "/v1/nothing", keyed(x_http_method_override="GET")),
    get("another path by a header", "/v1/nothing", keyed(x_original_url="/v1/agents", x_rewrite_url="/v1/agents")),
    get("an event to resume at, of a lost session", "/v1/sessions/sesn_011CZkYpogX7uDKUyvBTophP/events/stream", keyed(last_event_id="0")),
    get("an event to resume at that is none", "/v1/sessions/@session@/events/stream", keyed(last_event_id="x")),
    get("an event to resume at that is negative", "/v1/sessions/@session@/events/stream", keyed(last_event_id="-1")),
    get("an event to resume at of a thousand digits", "/v1/sessions/@session@/events/stream", keyed(last_event_id="9" * 1000)),
    get("an event to resume at in other digits", "/v1/sessions/@session@/events/stream", keyed(last_event_id="\u00b2")),
    get("an event to resume at of nobody", "/v1/sessions/@session@/events/stream", keyed(last_event_id="sevt_011CZkYpogX7uDKUyvBTophP")),
    get("an event to resume at of SQL", "/v1/sessions/@session@/events/stream", keyed(last_event_id="sevt_' OR '1'='1")),
    get("an event to resume at on a thread", "/v1/sessions/@session@/threads/@thread@/stream", keyed(last_event_id="latest")),
]  # fmt: skip

TYPES = [
    typed("no type", ""),
    typed("text", "text/plain"),
    typed("JSON as text", "text/json"),
    typed("a form", "application/x-www-form-urlencoded"),
    typed("a form in parts", "multipart/form-data; boundary=x"),
    typed("bytes", "application/octet-stream"),
    typed("two types", "application/json, text/plain"),
    typed("lines of JSON", "application/x-ndjson"),
    typed("UTF-16", "application/json; charset=utf-16"),
    typed("UTF-7", "application/json; charset=utf-7"),
    typed("two alphabets", "application/json; charset=utf-8; charset=latin-1"),
    typed("a type of ten thousand letters", "a" * 10_000 + "/json"),
    typed("a type that is a path", "../../application/json"),
]

PACKED = [
    post(f"a body in {name}", AGENTS, body, {**KEY, "content-encoding": name})
    for name, body in (
        ("gzip", gzip.compress(AGENT, mtime=0)),
        ("deflate", AGENT),
        ("br", AGENT),
        ("zstd", AGENT),
        ("compress", AGENT),
        ("gzip, gzip", gzip.compress(gzip.compress(AGENT, mtime=0), mtime=0)),
        ("x-evil", AGENT),
    )
]
PACKED.append(
    post(
        "a bomb of gzip",
        AGENTS,
        lambda: gzip.compress(bytes(100 << 20), 9, mtime=0),
        {**KEY, "content-encoding": "gzip"},
    )
)

KEYS = [
    post("an empty idempotency key", AGENTS, AGENT, keyed(idempotency_key="")),
    post("an idempotency key of spaces", AGENTS, AGENT, keyed(idempotency_key="a b")),
    post("an idempotency key too long", AGENTS, AGENT, keyed(idempotency_key="k" * 256)),
    post("an idempotency key far too long", AGENTS, AGENT, keyed(idempotency_key="k" * 10_000)),
    post("an idempotency key of other letters", AGENTS, AGENT, keyed(idempotency_key="k\u00e4se")),
    post("an idempotency key with a tab", AGENTS, AGENT, keyed(idempotency_key="a\tb")),
    post("an idempotency key that was used", AGENTS, AGENT, keyed(idempotency_key="@used@")),
    post("a used key on another path", "/v1/vaults", b'{"display_name":"a"}', keyed(idempotency_key="@used@")),
    post("a key for a model's request", "/v1/messages", b'{"model":"m"}', keyed(idempotency_key="k")),
    raw("two idempotency keys", f"POST {AGENTS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{ALLOWED}idempotency-key: a\r\nidempotency-key: b\r\ncontent-type: {JSON}\r\ncontent-length: 2\r\n\r\n{{}}"),
]  # fmt: skip


def sized(name: str, length: str, body: str = "{}") -> Hostile:
    return raw(
        name,
        f"POST {AGENTS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{ALLOWED}"
        f"content-type: {JSON}\r\n{length}\r\n\r\n{body}",
    )


LENGTHS = [
    sized("a negative length", "content-length: -1"),
    sized("a length with a plus", "content-length: +2"),
    sized("a length in hexadecimal", "content-length: 0x2"),
    sized("a length of two numbers", "content-length: 2, 2"),
    sized("two lengths", "content-length: 2\r\ncontent-length: 3"),
    sized("a length of words", "content-length: two"),
    sized("a length beyond 2^64", "content-length: 18446744073709551617"),
    replace(sized("a length beyond the limit", "content-length: 999999999999"), status=413),
    sized("an empty length", "content-length: "),
    sized("a length and chunks", "content-length: 2\r\ntransfer-encoding: chunked", "0\r\n\r\n"),
    sized("chunks and a length", "transfer-encoding: chunked\r\ncontent-length: 2", "0\r\n\r\n"),
    sized("chunks of a coding that is none", "transfer-encoding: xchunked", "0\r\n\r\n"),
    sized("chunks before gzip", "transfer-encoding: chunked, gzip", "0\r\n\r\n"),
    sized("a negative chunk", "transfer-encoding: chunked", "-1\r\n{}\r\n0\r\n\r\n"),
    sized("a chunk of words", "transfer-encoding: chunked", "two\r\n{}\r\n0\r\n\r\n"),
    sized("a chunk beyond 2^64", "transfer-encoding: chunked", "FFFFFFFFFFFFFFFFF\r\n{}\r\n"),
    sized("a chunk longer than it says", "transfer-encoding: chunked", "1\r\n{}\r\n0\r\n\r\n"),
    sized("a chunk without an end of line", "transfer-encoding: chunked", "2;{}0\r\n\r\n\0"),
    sized("a thousand chunks of nothing useful", "transfer-encoding: chunked", "1\r\n[\r\n" * 1000 + "0\r\n\r\n"),
    sized("chunks that come to no JSON", "transfer-encoding: chunked", "1\r\n{\r\n0\r\n\r\n"),
    sized("chunks with a trailer", "transfer-encoding: chunked", "2\r\n{}\r\n0\r\nx-api-key: other\r\n\r\n"),
]  # fmt: skip


def asking(name: str, line: str, *headers: str) -> Hostile:
    lines = [line, "host: x", "connection: close", ALLOWED.strip(), *headers, "", ""]
    return raw(name, "\r\n".join(lines))


def too_long(name: str, line: str, *headers: str) -> Hostile:
    return replace(asking(name, line, *headers), status=431)


LINES = [
    raw("nothing but line breaks and rubbish", "\r\n\r\n\0\0\0\0\r\n\r\n"),
    raw("a greeting of TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200)),
    raw("a greeting of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    raw("a greeting of SSH", "SSH-2.0-OpenSSH_9.9\r\n"),
    raw("a command of Redis", "*1\r\n$4\r\nINFO\r\n"),
    raw("a command of SMTP", "EHLO evil.example\r\n"),
    raw("no version", "GET /v1/agents\r\n\r\n"),
    asking("a version that is none", "GET /v1/agents HTTP/9.9"),
    asking("a version in words", "GET /v1/agents HTTP/one"),
    asking("another protocol", "GET /v1/agents ICAP/1.0"),
    asking("a method that is none", "STEAL /v1/agents HTTP/1.1"),
    asking("a method in small letters", "get /v1/agents HTTP/1.1"),
    asking("a method with a NUL", "GE\0T /v1/agents HTTP/1.1"),
    asking("a tunnel", "CONNECT evil.example:443 HTTP/1.1"),
    asking("an echo", "TRACE /v1/agents HTTP/1.1"),
    asking("a method of WebDAV", "PROPFIND /v1/agents HTTP/1.1"),
    asking("a patch", "PATCH /v1/agents/@agent@ HTTP/1.1"),
    asking("everything's options", "OPTIONS * HTTP/1.1"),
    asking("another's address", "GET http://169.254.169.254/latest/meta-data HTTP/1.1"),
    asking("a file's address", "GET file:///etc/passwd HTTP/1.1"),
    asking("no path", "GET  HTTP/1.1"),
    asking("a path that does not begin", "GET v1/agents HTTP/1.1"),
    asking("a path with a space", "GET /v1/age nts HTTP/1.1"),
    asking("a path with a control character", "GET /v1/\x01agents HTTP/1.1"),
    asking("a path in Latin-1", "GET /v1/k\xe4se HTTP/1.1"),
    too_long("a path of 70,000 letters", "GET /v1/" + "a" * 70_000 + " HTTP/1.1"),
    too_long("a query of 70,000 letters", "GET /v1/agents?x=" + "a" * 70_000 + " HTTP/1.1"),
    too_long("a header of 70,000 letters", "GET /v1/agents HTTP/1.1", "x: " + "a" * 70_000),
    too_long("a name of a header of 70,000 letters", "GET /v1/agents HTTP/1.1", "a" * 70_000 + ": x"),
    too_long("ten thousand headers", "GET /v1/agents HTTP/1.1", *(f"x{n}: y" for n in range(10_000))),
    asking("a header without a colon", "GET /v1/agents HTTP/1.1", "nonsense"),
    asking("a header without a name", "GET /v1/agents HTTP/1.1", ": x"),
    asking("a header with a space before its colon", "GET /v1/agents HTTP/1.1", "x : y"),
    asking("a header with a NUL", "GET /v1/agents HTTP/1.1", "x: a\0b"),
    asking("a header that is folded", "GET /v1/agents HTTP/1.1", "x: a", "\tb", "\0: c"),
    asking("a header in brackets", "GET /v1/agents HTTP/1.1", "(x): y"),
    asking("a change to WebSocket", "GET /v1/nothing HTTP/1.1", "upgrade: websocket", "connection: upgrade", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version: 13"),
    asking("a change to HTTP/2", "GET /v1/nothing HTTP/1.1", "upgrade: h2c", "connection: upgrade, http2-settings", "http2-settings: AAMAAABkAAQAAP__"),
    asking("a line that ends in returns", "GET /v1/agents HTTP/1.1\r\rx: y"),
    asking("a body for a path that is none", "POST /v1/nothing HTTP/1.1", "content-length: 0"),
]  # fmt: skip

ALL = [*HEADERS, *TYPES, *PACKED, *KEYS, *LENGTHS, *LINES]
