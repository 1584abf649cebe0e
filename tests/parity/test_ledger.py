"""The parity suite is whole: nothing recorded is left out, and docs/API.md says what is."""

from __future__ import annotations

import csv
from pathlib import Path

from tests.parity.held import payloads, refusals
from tests.parity.report import ROOT, divergences, document
from tests.parity.script import KINDS, snapshots
from tests.parity.scripts import SCRIPTS
from tests.parity.status import ALIKE, DIFFERS, ELSEWHERE, NOT_HELD, REFUSED
from tests.support.endpoints import beyond, endpoints


def test_the_document_is_current() -> None:
    assert (ROOT / "docs/API.md").read_text(encoding="utf-8") == document(), "run `make docs`"


def test_every_recorded_refusal_is_held_or_said_to_be_elsewhere() -> None:
    held = {kept["refusal"] for _, _, kept in snapshots() if "refusal" in kept}
    assert held & set(ELSEWHERE) == set()
    assert held | set(ELSEWHERE) == set(refusals())


def test_the_tests_named_for_other_refusals_have_their_texts() -> None:
    for name, where in ELSEWHERE.items():
        if where.startswith("tests/"):
            longest = max(refusals()[name].text.split("…"), key=len)
            # Source lines break longer ones.
            assert longest.strip()[:30] in (ROOT / where).read_text(encoding="utf-8"), name


def test_every_recorded_object_is_held() -> None:
    held = {kept["payload"] for _, _, kept in snapshots() if "payload" in kept}
    # A thread and a file are held by their forms, and say so in their source.
    held |= {name for name in payloads()["objects"] for _, _, kept in snapshots()
             if kept["source"].lower() == f"c.1 {name}"}  # fmt: skip
    assert held & set(NOT_HELD) == set()
    assert held | set(NOT_HELD) == set(payloads()["objects"])


def test_every_endpoint_that_is_there_has_a_snapshot_of_its_success() -> None:
    # One path with another.
    shared = {"messages.parse"}
    seen = {kept["endpoint"] for _, _, kept in snapshots() if kept.get("status", 200) == 200}
    for endpoint in endpoints():
        if endpoint.name not in REFUSED:
            assert endpoint.name in seen | shared


def test_every_snapshot_is_marked_and_has_its_script() -> None:
    assert {resource for resource, _, _ in snapshots()} == set(SCRIPTS)
    for resource, name, kept in snapshots():
        assert kept["kind"] in KINDS, (resource, name)
        assert kept["source"], (resource, name)
        if "refusal" in kept or "payload" in kept:
            assert kept["kind"] == "recorded", (resource, name)


def test_differences_are_rows_of_the_list_of_divergences() -> None:
    rows = divergences()
    assert set(DIFFERS) | set(ALIKE) <= set(rows)
    names = {endpoint.name for endpoint in (*endpoints(), *beyond())}
    for title, of in DIFFERS.items():
        assert "(confirmed)" in rows[title] or "(deliberate)" in rows[title], title
        assert set(of) <= names, title


def test_every_open_question_of_the_specification_has_its_row() -> None:
    rows = divergences()
    with (Path(__file__).parent / "questions.tsv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert {int(one["number"]) for one in found} == set(range(1, 41))
    lost = [
        one["about"] for one in found
        if not any(one["row"].lower() in what.lower() for what in rows)
    ]  # fmt: skip
    assert lost == []
