"""SIGKILL in the middle of uploads: what was acknowledged is there, whole, and nothing else is."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from pathlib import Path

import anthropic
import httpx2
import pytest

from tests.crash.support import PATIENCE, dice, how_often
from tests.support.running import ServerProcess, client_of

KILLS = how_often(4)


def _upload(url: str, seed: int, kept: dict[str, bytes], over: threading.Event) -> None:
    rng = random.Random(seed)
    with client_of(url) as client:
        while not over.is_set():
            data = rng.randbytes(rng.choice([10, 300_000, 3_000_000]))
            try:
                made = client.files.upload(file=("data.bin", data))
            except (anthropic.APIError, httpx2.HTTPError):
                time.sleep(0.02)
                continue
            kept[made.id] = hashlib.sha256(data).digest()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_what_was_acknowledged_is_there_as_a_whole(tmp_path: Path) -> None:
    rng = dice()
    data_dir = tmp_path / "data"
    kept: dict[str, bytes] = {}
    over = threading.Event()
    with ServerProcess(data_dir, FREEHOLD_SANDBOX="scripted") as server:
        clients = [
            threading.Thread(target=_upload, args=(server.url, seed, kept, over))
            for seed in range(3)
        ]
        for client in clients:
            client.start()
        try:
            for _ in range(KILLS):
                time.sleep(rng.uniform(0.1, 0.6))
                server.kill()
                server.start()
        finally:
            over.set()
            for client in clients:
                client.join(PATIENCE)
        assert kept
        server.kill()
        found = {
            path.name: path for path in (data_dir / "blobs" / "files").rglob("*") if path.is_file()
        }
        for file_id, digest in kept.items():
            assert hashlib.sha256(found[file_id].read_bytes()).digest() == digest
        # All but what rows name is an orphan: old enough, the next start removes it.
        for path in (data_dir / "blobs").rglob("*"):
            if path.is_file():
                os.utime(path, (0, 0))
        server.start()
        with client_of(server.url) as sdk:
            listed = {file.id for file in sdk.files.list(limit=1000)}
            assert set(kept) <= listed
            deadline = time.monotonic() + PATIENCE
            while True:
                left = {p.name for p in (data_dir / "blobs").rglob("*") if p.is_file()}
                if left == listed:
                    break
                assert time.monotonic() < deadline, left ^ listed
                time.sleep(0.05)
