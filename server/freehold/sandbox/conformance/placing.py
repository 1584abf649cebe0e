"""Checks of what the server puts into a sandbox and takes out of it."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from freehold.errors import FileChanged, PlacementRefused, TooManyFiles
from freehold.ports.sandbox import Placed, Root, Sandbox
from freehold.sandbox.conformance.subject import (
    CheckFailed,
    NotApplicable,
    Subject,
    check,
    expect,
    expect_equal,
    text_of,
)

_UPLOADS = "/mnt/session/uploads"
_SKILLS = "/workspace/skills"
_NOTES = "/mnt/memory/notes"
_ROOTS = (Root(_UPLOADS), Root(_SKILLS), Root("/mnt/memory"), Root(_NOTES, writable=True))


@contextlib.asynccontextmanager
async def _sandbox(subject: Subject) -> AsyncIterator[Sandbox]:
    """A sandbox with roots, for a check alone."""
    async with subject.fresh(*_ROOTS) as sandbox:
        try:
            await sandbox.place([Placed(f"{_UPLOADS}/probe", b"")])
        except PlacementRefused as error:
            raise NotApplicable(str(error)) from error
        yield sandbox


async def _try(subject: Subject, sandbox: Sandbox, command: str) -> str:
    """Run what may well fail; its output."""
    return text_of(await sandbox.call(subject.tool_call("bash", {"command": command})))


async def _holds(sandbox: Sandbox, path: str, data: bytes, after: str) -> None:
    try:
        actual = await sandbox.read_file(path)
    except OSError as error:
        raise CheckFailed(f"{path} is gone after {after}: {error}") from error
    expect_equal(actual, data, f"{path} after {after}")


@check
async def place_shows_files(subject: Subject) -> None:
    """What the server puts inside is there, from memory and from its disk, for the agent to read,
    with the folders above it, in the shared folders as in those of the agent."""
    big = bytes(range(256)) * 4096 * 9 + b"end"
    async with _sandbox(subject) as sandbox:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "source"
            source.write_bytes(big)
            await sandbox.place(
                [
                    Placed(f"{_UPLOADS}/a/b/small.txt", b"small\n"),
                    Placed(f"{_UPLOADS}/big.bin", source),
                    Placed(f"{_SKILLS}/words/SKILL.md", b"skill\n"),
                    Placed(f"{_UPLOADS}/empty", None),
                ]
            )
        command = f"cat {_UPLOADS}/a/b/small.txt {_SKILLS}/words/SKILL.md; ls {_UPLOADS}"
        expect_equal(
            (await _try(subject, sandbox, command)).split(),
            ["small", "skill", "a", "big.bin", "empty", "probe"],
            "what the agent sees",
        )
        await _holds(sandbox, f"{_UPLOADS}/big.bin", big, "placing it")


@check
async def placed_files_are_out_of_reach(subject: Subject) -> None:
    """The agent cannot change, replace, rename or delete a placed file or a folder above it."""
    path, skill = f"{_UPLOADS}/in/file", f"{_SKILLS}/words/SKILL.md"
    async with _sandbox(subject) as sandbox:
        await sandbox.place([Placed(path, b"kept"), Placed(skill, b"kept", mode=0o755)])
        attempts = [
            command.format(path=target, folder=target.rsplit("/", 1)[0], root=root, above=above)
            for target, root, above in ((path, _UPLOADS, "/mnt/session"), (skill, _SKILLS, "/mnt"))
            for command in (
                "echo changed > {path}",
                "echo changed >> {path}",
                "rm -f {path}",
                "rm -rf {folder}",
                "rm -rf {root}",
                "cp /dev/null {path}",
                "echo other > /tmp/other; cp /tmp/other {path}",
                "mv {path} {path}.old",
                "mv {folder} {folder}.old && mkdir {folder} && echo changed > {path}",
                "mv {root} {root}.old && mkdir -p {folder} && echo changed > {path}",
                "mv {above} {above}.old && mkdir -p {folder} && echo changed > {path}",
                "chmod -R u+w {root}; chmod 777 {path} {folder} && echo changed > {path}",
                "chown -R 1000 {root} && echo changed > {path}",
                "ln {path} /tmp/hard-$$ && echo changed > /tmp/hard-$$",
                "ln {path} {root}/../hard && echo changed > {root}/../hard",
                "ln -s {path} /tmp/soft && echo changed > /tmp/soft",
                "ln -sfn /tmp {folder}",
                "ln -sf /tmp/other {path}",
                "mv -T /tmp {root}",
                "sed -i s/kept/changed/ {path}",
                "truncate -s 0 {path}",
                'python3 -c \'import os; os.replace("/tmp/other", "{path}")\'',
                "umount {root}; mount -o remount,rw {root}; rm -rf {root}",
                "unshare -rm sh -c 'umount -l {root}; rm -rf {root}'",
                "unshare -rm sh -c 'mount -t tmpfs none {root}; echo changed > {path}'",
                "setfacl -m u:1000:rwx {path} && echo changed > {path}",
            )
        ]
        for command in attempts:
            await _try(subject, sandbox, command)
            await _holds(sandbox, path, b"kept", command)
            await _holds(sandbox, skill, b"kept", command)
        for tool, given in (
            ("write", {"file_path": path, "content": "changed"}),
            ("edit", {"file_path": path, "old_string": "kept", "new_string": "changed"}),
            ("write", {"file_path": f"{_UPLOADS}/in/another", "content": "x"}),
        ):
            outcome = await sandbox.call(subject.tool_call(tool, given))
            expect(outcome.is_error, f"{tool} succeeded")
            await _holds(sandbox, path, b"kept", tool)


@check
async def placing_leaves_the_agent_its_folders(subject: Subject) -> None:
    """Among what is placed, the agent goes on making, changing and deleting what is its own."""
    async with _sandbox(subject) as sandbox:
        await _try(subject, sandbox, "mkdir own && echo before > own/file && echo before > top")
        await sandbox.place([Placed(f"{_SKILLS}/s/SKILL.md", b"x")])
        text = await _try(
            subject,
            sandbox,
            "cd /workspace && echo after >> own/file && echo after >> top && cat own/file top "
            "&& rm -r own top && echo new > new && mkdir folder && cat new",
        )
        expect_equal(text.split(), ["before", "after", "before", "after", "new"], "the output")
        await _holds(sandbox, f"{sandbox.layout.workdir}/new", b"new\n", "all that")
        text = await _try(subject, sandbox, f"echo out > {sandbox.layout.outputs}/o && echo yes")
        expect_equal(text.strip(), "yes", "writing to the outputs")


@check
async def place_replaces(subject: Subject) -> None:
    """Placing again puts the new content there, also after the agent tried to delete the old, and
    a file may take a folder's place and a folder a file's."""
    path = f"{_UPLOADS}/doc"
    async with _sandbox(subject) as sandbox:
        await sandbox.place([Placed(path, b"first, and longer")])
        await _try(subject, sandbox, f"rm -rf {path} {_UPLOADS}")
        await sandbox.place([Placed(path, b"second")])
        await _holds(sandbox, path, b"second", "placing again")
        await sandbox.place([Placed(f"{path}/inside", b"deep")])
        await _holds(sandbox, f"{path}/inside", b"deep", "placing below it")
        await sandbox.place([Placed(path, b"flat")])
        await _holds(sandbox, path, b"flat", "placing a file over a folder")


@check
async def place_is_not_led_astray(subject: Subject) -> None:
    """Links and files that the agent lays in the way beforehand lead nowhere and stay nowhere."""
    async with subject.fresh(*_ROOTS) as sandbox:
        linked = await _try(subject, sandbox, "ln -s x link && test -L link && echo links")
        if linked.strip() != "links":
            raise NotApplicable("there are no symbolic links here")
        await _try(
            subject,
            sandbox,
            f"mkdir -p /workspace/trap && ln -s /workspace/trap {_SKILLS}; "
            f"mkdir -p /mnt/session && ln -s /workspace/trap {_UPLOADS}; "
            f"ln -s /workspace/trap {_SKILLS}/words; echo x > /mnt/session/uploads",
        )
        path = f"{_SKILLS}/words/SKILL.md"
        try:
            await sandbox.place([Placed(path, b"kept"), Placed(f"{_UPLOADS}/f", b"kept")])
        except PlacementRefused as error:
            raise NotApplicable(str(error)) from error
        expect_equal(await sandbox.listing("/workspace/trap"), [], "what is in the trap")
        for command in (f"rm -rf {_SKILLS}", f"ln -sfn /workspace/trap {_SKILLS}"):
            await _try(subject, sandbox, command)
            await _holds(sandbox, path, b"kept", command)
        await _holds(sandbox, f"{_UPLOADS}/f", b"kept", "all that")


@check
async def place_refuses_what_it_cannot_keep(subject: Subject) -> None:
    """Paths of the system, paths that lead out, and folders of the agent are refused."""
    async with _sandbox(subject) as sandbox:
        for path in (
            "/etc/passwd", "/usr/bin/env", "/proc/self/mem", "relative", "/", "",
            "/mnt/../etc/passwd", "/mnt//x", "/mnt/x/", sandbox.layout.workdir,
            f"{_NOTES}/a.md",
        ):  # fmt: skip
            for paths in ([path], [f"{_UPLOADS}/fine", path]):
                try:
                    await sandbox.place([Placed(one, b"x") for one in paths])
                except PlacementRefused:
                    continue
                raise CheckFailed(f"{path!r} was accepted")
        for path in ("/etc/passwd", "/", sandbox.layout.workdir, sandbox.layout.outputs):
            try:
                await sandbox.withdraw([path])
            except PlacementRefused:
                continue
            raise CheckFailed(f"{path!r} was withdrawn")


@check
async def writable_files_are_the_agents(subject: Subject) -> None:
    """What is placed writable the agent may change and delete, but not the root it lies in."""
    async with _sandbox(subject) as sandbox:
        here = f"{sandbox.layout.workdir}/repo"
        await sandbox.place(
            [
                Placed(f"{_NOTES}/a.md", b"one\n"),
                Placed(f"{_NOTES}/sub/b.md", b"two\n"),
                Placed(f"{here}/run", b"three\n", mode=0o755),
                Placed(f"{here}/empty/folder", None),
            ],
            writable=True,
        )
        text = await _try(
            subject,
            sandbox,
            f"cd {_NOTES} && echo more >> a.md && rm sub/b.md && echo new > c.md && cat a.md c.md "
            f"&& echo more >> {here}/run && cat {here}/run && ls {here} && rm -r {here}",
        )
        expect_equal(
            text.split(), ["one", "more", "new", "three", "more", "empty", "run"], "the output"
        )
        for command in (f"rm -rf {_NOTES}; mv {_NOTES} /tmp/x", f"mkdir {_NOTES}/../other"):
            await _try(subject, sandbox, command)
        text = await _try(subject, sandbox, f"cd / && echo again > {_NOTES}/d.md && ls /mnt/memory")
        expect_equal(text.split(), ["notes"], "what is beside the root")


@check
async def withdraw_deletes(subject: Subject) -> None:
    """What is withdrawn is gone, folders with what they hold; what is not there does not matter."""
    async with _sandbox(subject) as sandbox:
        await sandbox.place([Placed(f"{_UPLOADS}/{name}", b"x") for name in ("a", "b/c", "b/d")])
        await sandbox.place([Placed(f"{_NOTES}/n/m.md", b"x")], writable=True)
        await sandbox.withdraw([f"{_UPLOADS}/a", f"{_UPLOADS}/b", f"{_UPLOADS}/none"])
        await sandbox.withdraw([f"{_NOTES}/n", f"{_UPLOADS}/probe/none"])
        left = await sandbox.listing("/mnt")
        expect_equal([file.path for file in left], [f"{_UPLOADS}/probe"], "what is left")
        await sandbox.place([Placed(f"{_UPLOADS}/a", b"again")])
        await _holds(sandbox, f"{_UPLOADS}/a", b"again", "placing it again")


@check
async def listing_tells_files(subject: Subject) -> None:
    """The regular files at any depth, with size and digest, by path; no folder, no files."""
    sandbox, here = subject.sandbox, subject.path("list")
    await subject.bash(f"mkdir -p {here}/a/b && printf two > {here}/a/b/2 && printf 1 > {here}/1")
    await subject.bash(f"mkdir {here}/none && : > {here}/z")
    found = await sandbox.listing(here)
    told = [(file.path.split("/list/")[1], file.size, file.sha256) for file in found]
    expected = [
        (name, len(data), hashlib.sha256(data).hexdigest())
        for name, data in (("1", b"1"), ("a/b/2", b"two"), ("z", b""))
    ]
    expect_equal(told, expected, "the listing")
    expect_equal(await sandbox.listing(f"{here}/missing"), [], "the listing of nothing")


@check
async def listing_skips_what_is_no_file(subject: Subject) -> None:
    """Links, pipes, sockets, devices, unreadable files and names that are no text are left out,
    and nothing of it makes the listing wait."""
    await subject.needs_programs()
    here = subject.path("odd")
    await subject.bash(
        f"mkdir {here} && cd {here} && echo x > real && ln -s /etc/passwd link && ln -s / root "
        "&& ln -s . loop && mkfifo pipe && printf x > closed && chmod 000 closed "
        "&& printf x > $'bad\\xff' && mkdir shut && echo x > shut/in && chmod 000 shut "
        "&& python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"sock\")' "
        "&& ln real hard"
    )
    found = {file.path.rsplit("/", 1)[-1] for file in await subject.sandbox.listing(here)}
    await subject.bash(f"chmod 700 {here}/shut")
    # An agent that is root to the kernel reads what is closed.
    expect_equal(found - {"closed", "in"}, {"real", "hard"}, "what was found")
    expect_equal(await subject.sandbox.listing(f"{here}/loop/link"), [], "the listing of a link")


@check
async def listing_is_bounded(subject: Subject) -> None:
    """A folder with more entries than the limit is a clear error."""
    await subject.needs_programs()
    here = subject.path("many")
    await subject.bash(f"mkdir {here} && cd {here} && seq 10001 | xargs touch")
    try:
        await subject.sandbox.listing(here)
    except TooManyFiles as error:
        expect("10000" in str(error), f"it says {error}")
        await subject.bash(f"rm -r {here}")
        return
    raise CheckFailed("10,001 files were listed")


@check
async def read_stream_gives_the_bytes(subject: Subject) -> None:
    """A file comes in pieces, none of them large, and an empty one comes as well."""
    sandbox, path = subject.sandbox, subject.path("streamed")
    data = bytes(range(256)) * 4096 * 10 + b"tail"
    await sandbox.write_file(path, data)
    pieces = [piece async for piece in sandbox.read_stream(path)]
    expect_equal(b"".join(pieces), data, "the content")
    expect(len(pieces) > 1 and max(map(len, pieces)) <= 8 << 20, "it came in one piece")
    await sandbox.write_file(path, b"")
    expect_equal(b"".join([piece async for piece in sandbox.read_stream(path)]), b"", "the empty")
    for missing, error in ((subject.path("none"), FileNotFoundError), ("/mnt", IsADirectoryError)):
        try:
            async for _ in sandbox.read_stream(missing):
                pass
        except error:
            continue
        raise CheckFailed(f"{missing} was read")


@check
async def read_stream_is_of_one_version(subject: Subject) -> None:
    """A file that is changed or replaced while it is read is an error, never a mixture."""
    sandbox, path = subject.sandbox, subject.path("changing")
    for change in (
        f"echo more >> {path}",
        f"cp {path} {path}.2 && rm {path} && cp {path}.2 {path}",
    ):
        await sandbox.write_file(path, bytes(9 << 20))
        try:
            async for _ in sandbox.read_stream(path):
                await subject.bash(change)
        except FileChanged:
            continue
        raise CheckFailed(f"the file was read to its end through {change!r}")


@check
async def placing_survives_a_restart(subject: Subject) -> None:
    """The next server sees what was placed, and replaces and withdraws it."""
    spec = subject.spec(*_ROOTS)
    path = f"{_UPLOADS}/lasting"
    sandbox = await subject.provider.acquire(spec)
    try:
        await sandbox.place([Placed(path, b"first")])
    except PlacementRefused as error:
        raise NotApplicable(str(error)) from error
    other = subject.another_provider()
    try:
        again = await other.acquire(spec)
        expect_equal(again.identity, sandbox.identity, "the identity")
        await _holds(again, path, b"first", "a restart")
        await again.place([Placed(path, b"second")])
        await _holds(again, path, b"second", "replacing")
        await again.withdraw([path])
        left = [file.path for file in await again.listing(_UPLOADS)]
        expect_equal(left, [], "what is left")
    finally:
        await other.close()
