from __future__ import annotations

from freehold.harness.offload import LIMIT, offload
from freehold.ports.sandbox import SandboxSpec
from freehold.sandbox.scripted import ScriptedSandboxProvider


def _text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


async def test_short_results_are_left_alone() -> None:
    content = [_text("x" * LIMIT)]
    assert await offload(None, "sevt_1", content) is content


async def test_a_long_result_is_in_a_file_that_the_model_is_told_of() -> None:
    provider = ScriptedSandboxProvider()
    sandbox = await provider.acquire(SandboxSpec("sesn_1"))
    words = "begin " + "é" * LIMIT + " end"
    image = {"type": "image", "source": {}}
    shown, kept = await offload(sandbox, "sevt_1", [_text(words), image])
    assert kept == image
    assert len(shown["text"]) < LIMIT / 5
    assert "begin " in shown["text"]
    assert shown["text"].endswith(" end")
    assert "/tmp/tool_outputs/sevt_1.txt" in shown["text"]
    assert (await sandbox.read_file("/tmp/tool_outputs/sevt_1.txt")).decode() == words


async def test_without_a_sandbox_the_rest_is_cut_off_and_said_so() -> None:
    (shown,) = await offload(None, "sevt_1", [_text("y" * (LIMIT + 1))])
    assert "could not be kept" in shown["text"]
    provider = ScriptedSandboxProvider()
    sandbox = await provider.acquire(SandboxSpec("sesn_1"))
    provider.lose("sesn_1")
    (shown,) = await offload(sandbox, "sevt_1", [_text("y" * (LIMIT + 1))])
    assert "could not be kept" in shown["text"]
