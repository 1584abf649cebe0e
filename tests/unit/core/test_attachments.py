"""Files that content blocks name."""

from __future__ import annotations

import base64
import copy
from typing import Any

import pytest

from freehold.core.attachments import Attachment, file_id_of, named, shown, takes


def block(kind: str, file_id: str) -> dict[str, Any]:
    return {"type": kind, "source": {"type": "file", "file_id": file_id}}


CONVERSATION: list[dict[str, Any]] = [
    {"role": "user", "content": "words alone"},
    {"role": "user", "content": [{"type": "text", "text": "look"}, block("image", "file_1")]},
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "content": [block("document", "file_2"), block("image", "f3")]},
            {"type": "tool_result", "content": "words"},
            {"type": "document", "source": {"type": "url", "url": "https://a.test/"}},
            block("document", "file_1"),
        ],
    },
]


@pytest.mark.parametrize(
    ("kind", "mime_type", "answer"),
    [
        ("image", "image/png", True),
        ("image", "application/pdf", False),
        ("document", "application/pdf", True),
        ("document", "text/x-rst", True),
        ("document", "application/json", True),
        ("document", "image/png", False),
        ("document", "application/zip", False),
    ],
)
def test_what_a_block_can_show(kind: str, mime_type: str, answer: bool) -> None:
    assert takes(kind, mime_type) is answer


def test_which_file_a_block_names() -> None:
    assert file_id_of(block("image", "file_1")) == "file_1"
    assert file_id_of({"type": "text", "text": "file_1"}) is None
    assert file_id_of({"type": "image", "source": {"type": "url", "url": "u"}}) is None


def test_all_that_are_named_are_found() -> None:
    assert list(named(CONVERSATION)) == ["file_1", "file_2", "f3", "file_1"]


def test_each_is_shown_as_what_it_is() -> None:
    before = copy.deepcopy(CONVERSATION)
    files = {
        "file_1": Attachment("text/markdown", "gr\u00fcn \u2713".encode() + b"\xff"),
        "file_2": Attachment("application/pdf", b"%PDF"),
    }
    first, second, third = shown(CONVERSATION, files)
    assert before == CONVERSATION
    assert first == before[0]
    text = {"type": "text", "media_type": "text/plain", "data": "gr\u00fcn \u2713\ufffd"}
    assert second["content"] == [before[1]["content"][0], {"type": "image", "source": text}]
    result, words, url, last = third["content"]
    data = base64.b64encode(b"%PDF").decode()
    assert result["content"] == [
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": data},
        },
        {"type": "text", "text": "[The file f3 is not available any more.]"},
    ]
    assert (words, url) == (before[2]["content"][1], before[2]["content"][2])
    assert last == {"type": "document", "source": text}


def test_an_empty_file_is_shown_as_such() -> None:
    [message] = shown(
        [{"role": "user", "content": [block("document", "f")]}],
        {"f": Attachment("text/plain", b"")},
    )
    assert message["content"][0]["source"]["data"] == "(empty file)"
