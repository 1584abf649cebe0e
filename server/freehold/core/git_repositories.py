"""Repositories of sessions: which URLs name one, and where git asks for it (spec 9.2). Pure."""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from freehold.core.events import Json

GITHUB = "github.com"

URL_PROBLEM = (
    "invalid github_repository url: must be https://github.com/{owner}/{repo} with no .git suffix"
)
"""The recorded text (appendix D)."""

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[1-9][0-9]{0,4})?")
_OWNER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
"""GitHub's users and organizations."""
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]{1,100}")
_URL = re.compile(r"https://([^/?#@\\]+)/([^?#@\\]+)")
_MOST_SEGMENTS = 10
_GIT_PATHS = ("info/refs", "git-upload-pack", "git-receive-pack", "info/lfs")
"""What git and its extension for large files ask for below a repository's address."""


@dataclass(frozen=True)
class Repository:
    """One repository at one host; https and nothing else."""

    authority: str
    """Host, and port where it is not 443."""
    path: str
    """With the leading slash, without ``.git``."""

    @property
    def url(self) -> str:
        """As clients name it."""
        return f"https://{self.authority}{self.path}"

    @property
    def host(self) -> str:
        """A name in lower case, or an IPv4 address."""
        return self.authority.partition(":")[0]

    @property
    def port(self) -> int:
        """443 unless the URL says otherwise."""
        return int(self.authority.partition(":")[2] or 443)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    @property
    def git_paths(self) -> tuple[str, ...]:
        """The beginnings of all paths that git asks for at the host on this repository's behalf.

        No page of the host is among them, nor another repository whose name begins alike.
        """
        ways = (self.path, f"{self.path}.git")
        return tuple(f"{way}/{path}" for way in ways for path in _GIT_PATHS)


def parse_repository(url: str, hosts: Collection[str] = ()) -> Repository:
    """The repository that a resource's ``url`` names.

    Args:
        url: As the client gave it.
        hosts: Hosts, each with a port where it is not 443, besides github.com.

    Raises:
        ValueError: it names none that may be mounted here; the message is for clients.
    """
    match = _URL.fullmatch(url)
    authority = match[1].lower() if match else ""
    segments = match[2].split("/") if match else []
    ours = authority == GITHUB
    if (
        not (ours or authority in hosts)
        or len(segments) < 2
        or len(segments) > (2 if ours else _MOST_SEGMENTS)
        or not all(_SEGMENT.fullmatch(segment) for segment in segments)
        or segments[-1].lower().endswith(".git")
        or (ours and not _OWNER.fullmatch(segments[0]))
    ):
        raise ValueError(URL_PROBLEM)
    return Repository(authority, "/" + "/".join(segments))


def git_host_problem(text: str) -> str | None:
    """What is wrong with an entry of the setting of git hosts; ``None``: nothing."""
    if not _HOST.fullmatch(text):
        return "must be a host in lower case, or host:port, without a scheme or path"
    if text.endswith(":443"):
        return "443 is the port where none is named"
    return None


def mounted_repositories(resources: Iterable[Json]) -> list[Json]:
    """A session's repositories, in their order."""
    return [one for one in resources if one["type"] == "github_repository"]


def error_object(kind: str, url: str, message: str) -> Json:
    """A ``session.error``'s ``error`` for a repository; the session goes on without it (6.8)."""
    return {
        "type": f"repository_{kind}_error",
        "repository_url": url,
        "message": message,
        "retry_status": {"type": "retrying"},
    }


def git_files(repository: Repository, commit: str | None, branch: str | None) -> dict[str, bytes]:
    """The small files of a working copy's ``.git``, by their path in it; no token in them.

    Args:
        repository: Where it came from; ``origin`` and ``github`` lead there (spec 9.2).
        commit: What is checked out; ``None``: the repository is empty.
        branch: Its branch; ``None``: the commit alone.
    """
    tracked = branch or "*"
    lines = [
        "[core]",
        *("\trepositoryformatversion = 0", "\tfilemode = true", "\tbare = false"),
        "\tlogallrefupdates = true",
    ]
    for remote in ("origin", "github"):
        heads = f"+refs/heads/{tracked}:refs/remotes/{remote}/{tracked}"
        lines += [
            f'[remote "{remote}"]',
            f"\turl = {repository.url}",
            f"\tfetch = {_quoted(heads)}",
        ]
    if branch is not None:
        lines += [
            f"[branch {_quoted(branch)}]",
            *("\tremote = origin", f"\tmerge = {_quoted(f'refs/heads/{branch}')}"),
        ]
    files = {
        "config": _text(lines),
        "HEAD": _text([f"ref: refs/heads/{branch}" if branch is not None else str(commit)]),
    }
    if commit is not None:
        files["shallow"] = _text([commit])
        if branch is not None:
            refs = [f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"]
            header = "# pack-refs with: peeled fully-peeled sorted "
            files["packed-refs"] = _text([header, *(f"{commit} {ref}" for ref in sorted(refs))])
            files["refs/remotes/origin/HEAD"] = _text([f"ref: refs/remotes/origin/{branch}"])
    return files


def authorization(token: str) -> str:
    """The ``Authorization`` header of git's requests.

    GitHub takes a token as the password of this user, and other hosts of any; a host that wants
    its own user is given a token of the form ``user:password``.
    """
    pair = token if ":" in token else f"x-access-token:{token}"
    return f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"


def git_folder(mount_path: str) -> str:
    """Where a working copy's ``.git`` is."""
    return posixpath.join(mount_path, ".git")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
