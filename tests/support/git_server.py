"""A git host over HTTPS: ``git http-backend`` behind basic auth.

Stands alone, on the standard library, so that it can also run in a container:
``python3 git_server.py FOLDER PEM PORT``; tokens are then read from ``tokens.json`` in the folder.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

# Nothing of a developer's own configuration.
QUIET = {
    "PATH": os.environ.get("PATH", os.defpath),
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


def git(*arguments: str, cwd: Path | None = None, given: bytes | None = None) -> str:
    """Run git here; its output."""
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, input=given, env=QUIET, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


class GitServer:
    """Serves the bare repositories ``{owner}/{name}`` in a folder.

    ``tokens``: who may read and push, by repository; ``None``: everybody reads.
    ``answers``: a status that is answered instead, by repository.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens: dict[str, set[str] | None] = {}
        self.answers: dict[str, int] = {}
        self.hold: threading.Event | None = None
        """Packs are sent once it is set."""
        self.hold_pushes: threading.Event | None = None
        """Packs are taken in once it is set."""
        self.requests: list[tuple[str, str | None]] = []
        """Path with its query, and the password that came along."""
        self.port = 0

    @property
    def authority(self) -> str:
        return f"localhost:{self.port}"

    def url(self, name: str) -> str:
        return f"https://{self.authority}/{name}"

    def bare(self, name: str) -> Path:
        return self.folder / name

    def packs_sent(self) -> int:
        return sum(path.endswith("/git-upload-pack") for path, _ in self.requests)

    def create(self, name: str, *tokens: str, empty: bool = False) -> Path:
        """A repository with a commit on ``main``; without tokens it is public."""
        bare = self.bare(name)
        bare.mkdir(parents=True)
        git("init", "-q", "--bare", "-b", "main", str(bare))
        git("config", "http.receivepack", "true", cwd=bare)
        self.tokens[name] = set(tokens) or None
        if not empty:
            self.commit(name, {"README.md": f"# {name}\n"})
        return bare

    def commit(
        self, name: str, files: dict[str, str], branch: str = "main", message: str = "change"
    ) -> str:
        """Put files on a branch with plain plumbing, whatever their names; the commit."""
        bare = self.bare(name)
        parent = ""
        with contextlib.suppress(subprocess.CalledProcessError):
            parent = git("rev-parse", "--verify", "-q", f"refs/heads/{branch}", cwd=bare)
        tree: dict[str, Any] = {}
        if parent:
            for line in git("ls-tree", "-r", "-z", parent, cwd=bare).split("\0"):
                if line:
                    head, path = line.split("\t", 1)
                    mode, _, sha = head.split()
                    _grow(tree, path, (mode, sha))
        for path, text in files.items():
            mode = "120000" if path.startswith("link:") else "100644"
            sha = git("hash-object", "-w", "--stdin", cwd=bare, given=text.encode())
            _grow(tree, path.removeprefix("link:"), (mode, sha))
        root = _written(tree, bare)
        arguments = ["commit-tree", root, "-m", message, *(["-p", parent] if parent else [])]
        commit = git(*arguments, cwd=bare)
        git("update-ref", f"refs/heads/{branch}", commit, cwd=bare)
        return commit

    def head(self, name: str, branch: str = "main") -> str:
        return git("rev-parse", f"refs/heads/{branch}", cwd=self.bare(name))

    def allowed(self, name: str, password: str | None, *, writing: bool) -> bool:
        tokens = self.tokens.get(name)
        if tokens is None:
            return not writing or password is not None
        return password in tokens

    @contextlib.contextmanager
    def serving(
        self, context: ssl.SSLContext, host: str = "127.0.0.1", port: int = 0
    ) -> Iterator[None]:
        server = ThreadingHTTPServer((host, port), _handler(self))
        server.daemon_threads = True
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            for held in (self.hold, self.hold_pushes):
                if held is not None:
                    held.set()
            server.shutdown()
            server.server_close()


def _grow(tree: dict[str, Any], path: str, entry: tuple[str, str]) -> None:
    *folders, name = path.split("/")
    for folder in folders:
        tree = tree.setdefault(folder, {})
    tree[name] = entry


def _written(tree: dict[str, Any], bare: Path) -> str:
    # Not by mktree, which refuses the names that hostile trees have.
    entries = []
    for name, entry in tree.items():
        folder = isinstance(entry, dict)
        mode, sha = ("40000", _written(entry, bare)) if folder else entry
        key = f"{name}/" if folder else name
        entries.append((key, f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha)))
    data = b"".join(raw for _, raw in sorted(entries))
    return git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", cwd=bare, given=data)


def _handler(host: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(b"")

        def do_POST(self) -> None:
            self.answer(self.body())

        def body(self) -> bytes:
            if self.headers.get("transfer-encoding", "").lower() == "chunked":
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                data = b"".join(parts)
            else:
                data = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers.get("content-encoding") == "gzip":
                data = gzip.decompress(data)
            return data

        def password(self) -> str | None:
            kind, _, value = self.headers.get("authorization", "").partition(" ")
            if kind.lower() != "basic":
                return None
            return base64.b64decode(value).decode().partition(":")[2]

        def answer(self, body: bytes) -> None:
            password = self.password()
            host.requests.append((self.path, password))
            split = urlsplit(self.path)
            parts = unquote(split.path).strip("/").split("/")
            name = "/".join(parts[:2]).removesuffix(".git")
            rest = "/".join(parts[2:])
            writing = "receive-pack" in self.path
            if name in host.answers:
                self.say(host.answers[name], b"no", {"location": "https://169.254.169.254/x"})
            elif not host.allowed(name, password, writing=writing):
                self.say(401, b"who?", {"www-authenticate": 'Basic realm="git"'})
            elif not (host.folder / name / "HEAD").exists():
                self.say(404, b"Repository not found.")
            else:
                if rest == "git-upload-pack" and host.hold is not None:
                    host.hold.wait(60)
                if rest == "git-receive-pack" and host.hold_pushes is not None:
                    host.hold_pushes.wait(60)
                self.backend(f"/{name}/{rest}", split.query, body)

        def backend(self, path: str, query: str, body: bytes) -> None:
            environment = {
                **QUIET,
                "GIT_PROJECT_ROOT": str(host.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("content-type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
                "REMOTE_USER": "ada",
                "REMOTE_ADDR": "127.0.0.1",
            }
            done = subprocess.run(
                ["git", "-c", "safe.directory=*", "http-backend"],
                input=body,
                env=environment,
                capture_output=True,
                check=False,
            )
            head, _, data = done.stdout.partition(b"\r\n\r\n")
            headers = dict(
                line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line
            )
            status = int(headers.pop("Status", "200").split()[0])
            self.say(status, data, headers)

        def say(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


class _FromFile(GitServer):
    """In a container: what tests say comes by files."""

    def allowed(self, name: str, password: str | None, *, writing: bool) -> bool:
        told = json.loads((self.folder / "tokens.json").read_text())
        self.tokens = {key: None if value is None else set(value) for key, value in told.items()}
        allowed = super().allowed(name, password, writing=writing)
        with (self.folder / "requests.log").open("a") as log:
            log.write(json.dumps([name, password, writing, allowed]) + "\n")
        return allowed


def main() -> None:
    folder, pem, port = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    host = _FromFile(Path(folder))
    with host.serving(context, "0.0.0.0", int(port)):
        print("READY", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
