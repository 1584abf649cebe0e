"""Which URLs name repositories, and what a working copy's ``.git`` says."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.git_repositories import (
    URL_PROBLEM,
    Repository,
    authorization,
    error_object,
    git_files,
    git_folder,
    git_host_problem,
    mounted_repositories,
    parse_repository,
)

HOSTS = ("git.example:8443", "gitlab.example", "10.1.2.3")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://github.com/o/r", ("github.com", 443, "r")),
        ("https://github.com/Some-Org/a.b_c-d", ("github.com", 443, "a.b_c-d")),
        ("https://git.example:8443/o/r", ("git.example", 8443, "r")),
        ("https://gitlab.example/group/sub/r", ("gitlab.example", 443, "r")),
        ("https://10.1.2.3/~ada/r", ("10.1.2.3", 443, "r")),
    ],
)
def test_repositories(url: str, expected: tuple[str, int, str]) -> None:
    found = parse_repository(url, HOSTS)
    assert found.url == url
    assert (found.host, found.port, found.name) == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/o/r.git",
        "https://github.com/o/r.GIT",
        "https://github.com/o/r/",
        "https://github.com/o/r/tree",
        "https://github.com/o",
        "https://github.com/o/..",
        "https://github.com/-o/r",
        "https://github.com/o/r?x=1",
        "https://github.com/o/r#x",
        "https://github.com/o/r\n",
        "https://github.com/o/r%2e",
        "https://github.com:443/o/r",
        "https://token@github.com/o/r",
        "http://github.com/o/r",
        "https://github.com.evil.example/o/r",
        "https://gitlab.com/o/r",
        "https://git.example/o/r",
        "https://gitlab.example/a/b/c/d/e/f/g/h/i/j/k",
        "git@github.com:o/r",
        "",
    ],
)
def test_what_names_none(url: str) -> None:
    with pytest.raises(ValueError, match="must be https://github") as caught:
        parse_repository(url, HOSTS)
    assert str(caught.value) == URL_PROBLEM


def test_what_git_asks_for_is_the_repositorys_own() -> None:
    paths = Repository("github.com", "/o/r").git_paths
    assert "/o/r/info/refs" in paths
    assert "/o/r.git/git-receive-pack" in paths
    assert all(path.startswith(("/o/r/", "/o/r.git/")) for path in paths)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("git.example", True),
        ("git.example:8443", True),
        ("10.0.0.1:3000", True),
        ("Git.example", False),
        ("https://git.example", False),
        ("git.example/x", False),
        ("git.example:443", False),
        ("git.example:0", False),
        ("", False),
    ],
)
def test_entries_of_the_setting(text: str, right: bool) -> None:
    assert (git_host_problem(text) is None) == right


def test_how_tokens_are_sent() -> None:
    def sent(token: str) -> str:
        kind, _, value = authorization(token).partition(" ")
        assert kind == "Basic"
        return base64.b64decode(value).decode()

    assert sent("ghp_x") == "x-access-token:ghp_x"
    assert sent("ada:secret") == "ada:secret"


@given(st.text(min_size=1).filter(lambda name: "\n" not in name and "\0" not in name))
def test_a_branchs_name_stays_in_its_line(branch: str) -> None:
    files = git_files(Repository("github.com", "/o/r"), "a" * 40, branch)
    lines = files["config"].decode().split("\n")
    assert len([line for line in lines if line.startswith("[")]) == 4
    assert len([line for line in lines if "url = " in line and line.startswith("\turl")]) == 2


def test_an_empty_repository_and_a_commit_alone() -> None:
    repository = Repository("github.com", "/o/r")
    empty = git_files(repository, None, "main")
    assert set(empty) == {"config", "HEAD"}
    assert empty["HEAD"] == b"ref: refs/heads/main\n"
    alone = git_files(repository, "b" * 40, None)
    assert set(alone) == {"config", "HEAD", "shallow"}
    assert alone["HEAD"] == b"b" * 40 + b"\n"
    assert b"+refs/heads/*:refs/remotes/origin/*" in alone["config"]


def test_a_sessions_repositories_and_what_is_said_of_them() -> None:
    one, two = ({"type": "github_repository", "mount_path": f"/workspace/{n}"} for n in "ab")
    assert mounted_repositories([one, {"type": "file"}, two]) == [one, two]
    assert git_folder(one["mount_path"]) == "/workspace/a/.git"
    error = error_object("clone", "https://github.com/o/r", "It is gone.")
    assert error["type"] == "repository_clone_error"
    assert error["repository_url"] == "https://github.com/o/r"
