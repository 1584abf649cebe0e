"""Which requests are given what."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from freehold.gate.grants import Exchange, Injection
from freehold.gate.policy import Policy

SHOWN, SECRET = "fhsecret_abcdefghij", "the-real-value"


def policy(**changes: Any) -> Policy:
    variable = {
        "placeholder": SHOWN,
        "value": SECRET,
        "hosts": ["api.test", "*.Deep.test"],
        "header": True,
        "body": True,
    }
    return Policy.parse({"type": "unrestricted", "variables": [{**variable, **changes}]})


def exchange(found: Policy, host: str = "api.test", scheme: str = "https") -> Exchange | None:
    return found.exchange(scheme, host, 443, "/")


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        *(("api.test", True), ("a.deep.test", True), ("a.b.deep.test", True)),
        *(("deep.test", False), ("other.test", False), ("api.test.evil.test", False)),
        ("xapi.test", False),
    ],
)
def test_a_variable_goes_to_its_hosts_alone(host: str, covered: bool) -> None:
    assert (exchange(policy(), host) is not None) is covered
    assert policy().intercepts(host) is covered
    assert exchange(policy(hosts=None), host) is not None


def test_nothing_goes_out_in_the_clear() -> None:
    assert exchange(policy(hosts=None), scheme="http") is None


def test_only_where_it_may_be() -> None:
    fields = ((b"X-Key", SHOWN.encode()), (b"Host", SHOWN.encode()))
    header_only, body_only = exchange(policy(body=False)), exchange(policy(header=False))
    assert header_only is not None
    assert body_only is not None
    assert header_only.headers(fields) == ((b"X-Key", SECRET.encode()), fields[1])
    assert header_only.body("") is None
    assert header_only.used
    assert body_only.headers(fields) == fields
    assert not body_only.used
    replacer = body_only.body("text/plain")
    assert replacer is not None
    assert replacer.whole(SHOWN.encode()) == SECRET.encode()


def test_answers_show_the_placeholder() -> None:
    found = exchange(policy())
    assert found is not None
    shown = base64.b64encode(b"me:" + SHOWN.encode())
    sent = found.headers(((b"authorization", b"Basic " + shown),))[0][1]
    assert found.mask().whole(b"you sent " + sent) == b"you sent Basic " + shown
    assert found.mask().whole(sent[6:]) == shown
    assert found.mask().whole(f"<{SECRET}>".encode()) == f"<{SHOWN}>".encode()
    assert found.mask(same_length=True).whole(SECRET.encode()) == SHOWN.encode()[: len(SECRET)]


def test_a_short_value_is_not_looked_for() -> None:
    found = exchange(policy(value="short"))
    assert found is not None
    assert found.mask().whole(b"a short story") == b"a short story"


def injecting(path: str = "/team/repo.git") -> Policy:
    one = {"scheme": "https", "host": "git.test", "port": 443, "path": path}
    credentials = "Basic " + base64.b64encode(b"x:token-of-git").decode()
    one |= {"header": "Authorization", "value": credentials}
    return Policy.parse({"type": "limited", "hosts": [], "injections": [one]})


@pytest.mark.parametrize(
    "target",
    [
        "/team/repo.git",
        "/team/repo.git/info/refs?service=git-upload-pack",
        "/team/repo.git/git-receive-pack",
    ],
)
def test_a_header_is_injected_below_its_path(target: str) -> None:
    found = injecting()
    assert found.refuses("https", "git.test", 443, target) is None
    given = found.exchange("https", "git.test", 443, target)
    assert given is not None
    fields = given.headers(((b"host", b"git.test"), (b"AUTHORIZATION", b"Basic bWluZQ==")))
    assert fields[0] == (b"host", b"git.test")
    assert [name for name, _ in fields] == [b"host", b"authorization"]
    assert fields[1][1].startswith(b"Basic eDp0b2tl")
    for quoted in (fields[1][1], fields[1][1][6:], b"x:token-of-git", b"token-of-git"):
        assert given.mask().whole(b"<" + quoted + b">") == b"<[redacted]>"


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/team", "/team/repo", "/team/repo.gitx", "/team/other.git", "/Team/repo.git"),
        *("/team/repo.git/../other.git", "/team/repo.git/%2e%2e/other.git"),
        *("/team/repo.git/%252e%252e/other.git", "/team/repo.git/..%2fother.git"),
        *("/team/repo.git/..;/other.git", "/team/repo.git/..\\other.git"),
        *("/team/repo.git//x", "/team/repo.git/.", "/team/repo.git/.."),
        *("/team/repo.git/%2525252525252e/x", "team/repo.git", "/team/repo.git/a b"),
        *("/team/repo.git/%5c..%5cother", "/team/repo.git/%00", "/team%2frepo.git/x"),
        "https://git.test/team/repo.git/info/refs",
    ],
)
def test_and_on_no_other_path(target: str) -> None:
    assert injecting().exchange("https", "git.test", 443, target) is None
    assert injecting().refuses("https", "git.test", 443, target) is not None


@pytest.mark.parametrize(
    ("scheme", "host", "port"),
    [("http", "git.test", 443), ("https", "x.git.test", 443), ("https", "git.test", 8443)],
)
def test_nor_elsewhere(scheme: str, host: str, port: int) -> None:
    assert injecting().exchange(scheme, host, port, "/team/repo.git") is None


def test_the_longest_path_decides() -> None:
    made = [
        Injection("https", "git.test", 443, path, "X", value)
        for path, value in (("/a", "short"), ("/a/b", "long"), ("/c", "other"))
    ]
    from freehold.gate.grants import Grants

    found = Grants(injections=tuple(made)).injected("https", "git.test", 443, "/a/b/c")
    assert found is not None
    assert found.value == "long"


@pytest.mark.parametrize(
    "changes",
    [
        *({"path": "/a/../b"}, {"path": "a"}, {"header": "Host"}, {"header": "a b"}),
        *({"value": "x\r\ny"}, {"scheme": "ftp"}, {"header": "Content-Length"}),
    ],
)
def test_what_is_no_injection_is_refused(changes: dict[str, Any]) -> None:
    one = {"scheme": "https", "host": "h", "port": 443, "path": "/a", "header": "X", "value": "v"}
    with pytest.raises(ValueError, match="injection"):
        Policy.parse({"type": "unrestricted", "injections": [{**one, **changes}]})


def test_secrets_are_not_shown() -> None:
    assert SECRET not in repr(policy())
    assert "eDp0b2tl" not in repr(injecting())
