"""Checks of how a folder of the agent's is kept in step with what the server has."""

from __future__ import annotations

import hashlib

from freehold.errors import TooManyFiles
from freehold.ports.sandbox import Exchange
from freehold.sandbox.conformance.subject import (
    CheckFailed,
    Subject,
    check,
    expect,
    expect_equal,
)

_LARGEST = 1000


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@check
async def survey_tells_what_is_there(subject: Subject) -> None:
    """Paths within the folder, with digests; of what is too large, none. What is rewritten shows
    at once, also with the same length, and what is gone is gone."""
    sandbox, here = subject.sandbox, subject.path("survey")
    await sandbox.write_file(f"{here}/a/b", b"one")
    await sandbox.write_file(f"{here}/large", b"x" * (_LARGEST + 1))
    found = await sandbox.survey(here, largest=_LARGEST)
    expect_equal(dict(found.files), {"/a/b": _sha(b"one"), "/large": None}, "the survey")
    for data in (b"two", b"six"):
        await sandbox.write_file(f"{here}/a/b", data)
        found = await sandbox.survey(here, largest=_LARGEST)
        expect_equal(found.files["/a/b"], _sha(data), "the digest after writing")
    await subject.bash(f"rm -r {here}/a")
    found = await sandbox.survey(here, largest=_LARGEST, fresh=True)
    expect_equal(set(found.files), {"/large"}, "what is left")


@check
async def survey_names_what_is_no_file(subject: Subject) -> None:
    """Links, pipes and what is closed are named and not followed; names that are no text are
    counted; a file of a terabyte is not read."""
    await subject.needs_programs()
    sandbox, here = subject.sandbox, subject.path("odd-survey")
    await subject.bash(
        f"mkdir {here} && cd {here} && echo x > real && ln -s /etc/passwd link && ln -s / root "
        "&& mkfifo pipe && printf x > $'bad\\xff' && mkdir shut && echo x > shut/in "
        "&& truncate -s 1T huge && chmod 000 shut"
    )
    found = await sandbox.survey(here, largest=_LARGEST)
    await subject.bash(f"chmod 700 {here}/shut; rm {here}/huge")
    # An agent that is root to the kernel reads what is closed.
    expect_equal(set(found.files) - {"/shut/in"}, {"/real", "/huge"}, "the files")
    expect_equal(found.others - {"/shut"}, {"/link", "/root", "/pipe"}, "the others")
    expect_equal(found.unnamed, 1, "the names that are no text")


@check
async def survey_is_bounded(subject: Subject) -> None:
    """A folder with more entries than the limit is a clear error."""
    await subject.needs_programs()
    here = subject.path("many-surveyed")
    await subject.bash(f"mkdir {here} && cd {here} && seq 10001 | xargs touch")
    try:
        await subject.sandbox.survey(here, largest=_LARGEST)
    except TooManyFiles:
        await subject.bash(f"rm -r {here}")
        return
    raise CheckFailed("10,001 files were surveyed")


@check
async def exchange_changes_what_is_as_expected(subject: Subject) -> None:
    """A file is made, replaced and deleted where it is as expected, and left alone where not;
    folders come and go with their files."""
    sandbox, here = subject.sandbox, subject.path("exchange")
    await sandbox.write_file(f"{here}/keep", b"")
    one, two = b"one", b"two"

    async def outcome(path: str, expected: bytes | None, content: bytes | None) -> str:
        digest = None if expected is None else _sha(expected)
        (result,) = await sandbox.exchange(here, [Exchange(path, digest, content)])
        return result.outcome

    expect_equal(await outcome("/d/e/f", None, one), "done", "making")
    expect_equal(await outcome("/d/e/f", None, one), "done", "making what is there")
    expect_equal(await outcome("/d/e/f", None, two), "changed", "making over another")
    expect_equal(await outcome("/d/e/f", two, None), "changed", "deleting another")
    expect_equal(await outcome("/d/e/f", one, two), "done", "replacing")
    expect_equal(await sandbox.read_file(f"{here}/d/e/f"), two, "the content")
    expect_equal(await outcome("/d/e/f/g", None, one), "blocked", "making below a file")
    expect_equal(await outcome("/d", None, one), "blocked", "making over a folder")
    expect_equal(await outcome("/d/e/f", two, None), "done", "deleting")
    expect_equal(await outcome("/d/e/f", two, None), "done", "deleting what is gone")
    expect_equal(await outcome("/d", None, one), "done", "making where a folder was")
    await subject.bash(f"mkdir -p {here}/empty/empty")
    expect_equal(await outcome("/empty", None, one), "done", "making over empty folders")
    found = await sandbox.survey(here, largest=_LARGEST)
    expect_equal(set(found.files), {"/keep", "/d", "/empty"}, "what is there")


@check
async def exchange_is_not_led_astray(subject: Subject) -> None:
    """Links of the agent's below the folder lead nowhere."""
    await subject.needs_programs()
    sandbox, here, trap = subject.sandbox, subject.path("links"), subject.path("trap")
    await subject.bash(
        f"mkdir {here} {trap} && echo kept > {trap}/f && ln -s {trap} {here}/d "
        f"&& ln -s {trap}/f {here}/f && ln -s {trap}/f {here}/.freehold-incoming"
    )
    changes = [
        Exchange("/d/new", None, b"x"),
        Exchange("/f", _sha(b"kept\n"), b"x"),
        Exchange("/f", _sha(b"kept\n"), None),
        Exchange("/fine", None, b"x"),
    ]
    results = await sandbox.exchange(here, changes)
    expect_equal([r.outcome for r in results], ["blocked"] * 3 + ["done"], "the outcomes")
    expect(all(result.reason for result in results[:3]), "it does not say why")
    expect_equal((await subject.bash(f"ls {trap}; cat {trap}/f")).split(), ["f", "kept"], "it")
