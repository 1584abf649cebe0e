"""The demonstration of ``freehold demo``: one request in plain words, for any model.

A real model simply does what the text asks. The scripted model recognises the sentence, paths
included, and plays the same work.
"""

from __future__ import annotations

import re
import shlex

from freehold.models.scripted.replies import RESULT_MARK, Reply, ToolUse
from freehold.ports.sandbox import Layout

_REQUEST = (
    "Please write a small Python program, {program}, that prints the prime numbers below 100 in "
    "rows of ten and then how many there are. Run it, and save what it prints to {report}. Then "
    "tell me briefly what you did and what came out."
)
_PATTERN = re.compile(
    re.escape(_REQUEST)
    .replace(re.escape("{program}"), r"(?P<program>~?/\S+)")
    .replace(re.escape("{report}"), r"(?P<report>~?/\S+)")
)

PROGRAM = '''"""Print the prime numbers below a limit."""

LIMIT = 100
ROW = 10


def primes(limit: int) -> list[int]:
    sieve = [True] * limit
    sieve[:2] = [False, False]
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            for multiple in range(number * number, limit, number):
                sieve[multiple] = False
    return [number for number, is_prime in enumerate(sieve) if is_prime]


found = primes(LIMIT)
for start in range(0, len(found), ROW):
    print(" ".join(f"{number:2}" for number in found[start : start + ROW]))
print(f"{len(found)} primes below {LIMIT}")
'''


def demo_messages(layout: Layout) -> str:
    """The user's text of the demonstration, with the paths of this sandbox."""
    return _REQUEST.format(
        program=f"{layout.workdir.rstrip('/')}/primes.py",
        report=f"{layout.outputs.rstrip('/')}/primes.txt",
    )


def demo_replies(text: str) -> list[Reply] | None:
    """The scripted model's answers to the demonstration; None for any other text."""
    match = _PATTERN.search(text)
    if match is None:
        return None
    # A path ends before the punctuation of its sentence, which the pattern leaves out by itself.
    program, report = match["program"], match["report"]
    command = f"python3 {_quoted(program)} | tee {_quoted(report)}"
    return [
        Reply(
            thinking="A sieve is the simplest way. I write it to a file first, then run it.",
            text="I'll write the program first.",
            tool_uses=(ToolUse("write", {"file_path": program, "content": PROGRAM}),),
        ),
        Reply(
            text="Now I run it and keep what it prints.",
            tool_uses=(ToolUse("bash", {"command": command}),),
        ),
        Reply(
            text=f"I wrote a sieve to `{program}`, ran it and saved its output to `{report}`. "
            f"It printed:\n\n```\n{RESULT_MARK}\n```"
        ),
    ]


def _quoted(path: str) -> str:
    """For the shell; ``~/`` stays outside the quotes, where it means the home."""
    home, rest = ("~/", path[2:]) if path.startswith("~/") else ("", path)
    return home + shlex.quote(rest)
