"""The journal: what it promises about a process that dies at any moment."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.toolbox.journal import Journal, JournalBusy
from freehold.toolbox.outcomes import Outcome, success

_Steps = list[tuple[str, Outcome | None]]


def _write(folder: str) -> tuple[_Steps, list[int]]:
    """A few calls, one of them unfinished; and where each line ends."""
    steps: _Steps = [
        ("a", None),
        ("a", success("one\nline é")),
        ("b", None),
        ("c", None),
        ("b", success("two")),
    ]
    journal = Journal(folder)
    ends = []
    for call_id, outcome in steps:
        if outcome is None:
            journal.started(call_id, "bash")
        else:
            journal.finished(call_id, outcome)
        ends.append((Path(folder) / "journal.jsonl").stat().st_size)
    journal.close()
    return steps, ends


def test_outcomes_survive_and_unfinished_calls_become_errors(tmp_path: Path) -> None:
    _write(str(tmp_path))
    again = Journal(str(tmp_path))
    assert again.outcome("a") == success("one\nline é")
    assert again.outcome("b") == success("two")
    interrupted = again.outcome("c")
    assert interrupted is not None
    assert interrupted["is_error"]
    assert "interrupted and may have partly run" in interrupted["content"][0]["text"]
    assert again.outcome("d") is None


def test_identity_belongs_to_the_folder(tmp_path: Path) -> None:
    first = Journal(str(tmp_path / "one"))
    first.close()
    assert Journal(str(tmp_path / "one")).identity == first.identity
    assert Journal(str(tmp_path / "two")).identity != first.identity


def test_only_one_process_keeps_a_journal(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    with pytest.raises(JournalBusy):
        Journal(str(tmp_path))
    journal.close()
    Journal(str(tmp_path)).close()


@given(st.data())
def test_a_cut_at_any_byte_loses_only_what_came_after(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        steps, ends = _write(folder)
        cut = data.draw(st.integers(0, ends[-1]))
        with (Path(folder) / "journal.jsonl").open("r+b") as file:
            file.truncate(cut)
        done = sum(end <= cut for end in ends)
        again = Journal(folder)
        for call_id in "abc":
            known = [outcome for known_id, outcome in steps[:done] if known_id == call_id]
            outcome = again.outcome(call_id)
            if not known:
                assert outcome is None
            elif known[-1] is not None:
                assert outcome == known[-1]
            else:
                assert outcome is not None
                assert outcome["is_error"]
        # And it goes on: nothing half-written is left in the way of the next line.
        again.started("z", "bash")
        again.finished("z", success("after"))
        again.close()
        last = Journal(folder)
        assert last.outcome("z") == success("after")
        last.close()


def test_lines_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    _write(str(tmp_path))
    with (tmp_path / "journal.jsonl").open("ab") as file:
        file.write(b"nonsense\n[1]\n{}\n")
    again = Journal(str(tmp_path))
    assert again.outcome("b") == success("two")
    again.started("z", "bash")
    again.finished("z", success("after"))
    assert again.outcome("z") == success("after")
