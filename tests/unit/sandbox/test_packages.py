"""An environment's packages: what is asked for, what decides the image, and what is run."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.core.packages import MANAGERS, Packages
from freehold.sandbox.docker.pool import Pool
from freehold.sandbox.docker.pools import MOST, Kind, Pools
from freehold.sandbox.packages import inside
from freehold.sandbox.packages.plan import LAST_CHARACTERS, Plan, last_words, plain
from freehold.sandbox.packages.reach import Reach, host_reach

SPEC = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(
    lambda text: not text.startswith("-")
)
LISTS = st.dictionaries(st.sampled_from(MANAGERS), st.lists(SPEC, max_size=4))


def packages(**lists: list[str]) -> Packages:
    return Packages.of({"type": "cloud", "packages": lists})


def test_they_are_installed_in_the_documented_order() -> None:
    asked = packages(pip=["a"], npm=["a"], go=["a"], gem=["a"], cargo=["a"], apt=["a"])
    plan = Plan("sha256:1", asked, Reach())
    assert [step for step in plan.steps if step[0] == "install"] == [
        ("install", manager) for manager in MANAGERS
    ]


# --- what decides the image


def test_all_that_decides_the_image_is_in_its_digest() -> None:
    plan = Plan("sha256:1", packages(pip=["six"]), Reach())
    changed = [
        replace(plan, base="sha256:2"),
        replace(plan, packages=packages(pip=["six==1.16.0"])),
        replace(plan, packages=packages(npm=["six"])),
        replace(plan, reach=Reach(trust=b"certificate")),
        replace(plan, reach=Reach(variables={"https_proxy": "http://proxy:1"})),
        replace(plan, reach=Reach(npmrc="registry=https://mirror\n")),
        replace(plan, reach=Reach(cargo_config="[source]\n")),
        replace(plan, reach=Reach(gem_sources=("https://mirror",))),
    ]
    assert len({p.digest for p in [plan, *changed]}) == len(changed) + 1
    assert replace(plan, packages=packages(pip=["six", "six"])).digest == plan.digest


def test_the_archive_has_what_the_container_needs() -> None:
    reach = Reach(trust=b"PEM", npmrc="registry=x\n", gem_sources=("https://gems",))
    plan = Plan("sha256:1", packages(pip=["six"]), reach)
    with tarfile.open(fileobj=io.BytesIO(plan.archive())) as tar:
        names = {Path(name).name for name in tar.getnames()}
        told = tar.extractfile("opt/freehold-build/plan.json")
        assert told is not None
        assert json.loads(told.read()) == {
            "packages": {"pip": ["six"]},
            "gem_sources": ["https://gems"],
        }
    assert names == {"freehold-build", "inside.py", "plan.json", "trust.crt", "npmrc"}


# --- what is run


@given(LISTS.filter(lambda lists: any(lists.values())))
def test_every_package_is_one_argument(lists: dict[str, list[str]]) -> None:
    for manager, specs in Packages.of({"packages": lists}):
        run = inside.commands(manager, list(specs), [])
        said = [argument for argv in run for argument in argv]
        for spec in specs:
            wanted = {"cargo": spec.partition("@")[0]}.get(manager, spec)
            assert any(wanted == a or (manager == "go" and a == f"{spec}@latest") for a in said)


@pytest.mark.parametrize(
    ("manager", "specs", "expected"),
    [
        ("cargo", ["rg@14.0.0"], [["cargo", "install", "--version", "14.0.0", "--", "rg"]]),
        ("cargo", ["rg"], [["cargo", "install", "--", "rg"]]),
        ("gem", ["rails:7.1.0"], [["gem", "install", "--no-document", "rails:7.1.0"]]),
        ("go", ["a/b@v1", "c"], [["go", "install", "a/b@v1"], ["go", "install", "c@latest"]]),
    ],
)
def test_versions_are_said_as_each_manager_wants(
    manager: str, specs: list[str], expected: list[list[str]]
) -> None:
    assert inside.commands(manager, specs, []) == expected


NASTY = ["$(touch pwned)", "`touch pwned`", "a; touch pwned", "a' \"b", "x|y&z>pwned", "*", "~"]


@pytest.mark.parametrize("manager", MANAGERS)
def test_no_shell_reads_a_package(manager: str, tmp_path: Path) -> None:
    program = tmp_path / "bin" / inside.PROGRAMS[manager]
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        f"with open({str(tmp_path / 'said')!r}, 'a') as f: f.write(json.dumps(sys.argv) + '\\n')\n"
    )
    program.chmod(0o755)
    build = tmp_path / "build"
    build.mkdir()
    source = Path(inside.__file__).read_text()
    source = source.replace('"/opt/freehold-build"', repr(str(build)))
    source = source.replace('"/tmp/freehold-build"', repr(str(build)))
    (build / "inside.py").write_text(source)
    plan = {"packages": {manager: NASTY}, "gem_sources": []}
    (build / "plan.json").write_text(json.dumps(plan))
    subprocess.run(
        [sys.executable, "-I", "-S", str(build / "inside.py"), "install", manager],
        env={"PATH": str(program.parent)},
        check=True,
        capture_output=True,
    )
    said = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    arguments = [argument for argv in said for argument in argv]
    for spec in NASTY:
        assert spec in arguments or f"{spec}@latest" in arguments
    assert not list(tmp_path.rglob("pwned"))


def test_a_failure_keeps_its_status(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as failed:
        inside.run("pip", [sys.executable, "-c", "import sys; sys.exit(7)"])
    assert failed.value.code == 7
    with pytest.raises(SystemExit) as killed:
        inside.run("pip", [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
    assert killed.value.code == 137
    with pytest.raises(SystemExit) as absent:
        inside.run("pip", [str(tmp_path / "no-such-program")])
    assert absent.value.code == 127


# --- what is told


def test_lines_are_told_without_colours_and_passwords() -> None:
    assert plain("\x1b[31mERROR\x1b[0m at https://user:secret@host/x  ") == (
        "ERROR at https://***@host/x"
    )


def test_an_error_carries_the_end_of_the_output() -> None:
    said = [f"line {n}" for n in range(100)] + ["", "freehold: pip install x"]
    assert last_words(said).splitlines() == [f"line {n}" for n in range(80, 100)]
    assert len(last_words(["x" * 10_000])) == LAST_CHARACTERS


# --- how registries are reached


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path


def test_the_host_s_mirrors_are_used(home: Path) -> None:
    (home / ".config/pip").mkdir(parents=True)
    (home / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = https://pip.example/simple\n"
        "extra-index-url = https://more.example/simple\n    file:///opt/wheels\n"
    )
    (home / ".npmrc").write_text(
        "registry=https://npm.example/\n@own:registry = https://own.example/\nfund=false\n"
        "//npm.example/:_authToken=secret\n"
    )
    (home / ".cargo").mkdir()
    (home / ".cargo/config.toml").write_text(
        '[source.crates-io]\nreplace-with = "mirror"\n[source.mirror]\n'
        'registry = "sparse+https://cargo.example/"\n[registry]\ntoken = "secret"\n'
    )
    (home / ".gemrc").write_text("---\n:sources:\n- https://gems.example/\n")
    environ = {
        "GOPROXY": "https://go.example,direct",
        "https_proxy": "http://proxy.example:3128",
        "PIP_TRUSTED_HOST": "pip.example",
        "ANTHROPIC_API_KEY": "secret",
    }
    reach = host_reach(environ, home, None, etc=home)
    assert reach.variables == {
        "PIP_INDEX_URL": "https://pip.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://more.example/simple",
        "PIP_TRUSTED_HOST": "pip.example",
        "GOPROXY": "https://go.example,direct",
        "https_proxy": "http://proxy.example:3128",
    }
    assert reach.npmrc == "@own:registry=https://own.example/\nregistry=https://npm.example/\n"
    assert reach.cargo_config == (
        '[source."crates-io"]\nreplace-with = "mirror"\n'
        '[source."mirror"]\nregistry = "sparse+https://cargo.example/"\n'
    )
    assert reach.gem_sources == ("https://gems.example/",)
    assert "secret" not in repr(reach)


def test_passwords_and_folders_of_the_host_stay_on_the_host(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "freehold.sandbox.packages")
    (home / ".npmrc").write_text("registry=https://user:secret@npm.example/\n")
    environ = {
        "PIP_INDEX_URL": "https://user:secret@pip.example/simple",
        "PIP_EXTRA_INDEX_URL": "/opt/simple file:///opt/simple",
        "GOPROXY": "file:///opt/go",
        "HTTPS_PROXY": "http://user:secret@proxy.example:3128",
    }
    reach = host_reach(environ, home, None, etc=home)
    assert (dict(reach.variables), reach.npmrc) == ({}, "")
    assert "HTTPS_PROXY of this machine has a password" in caplog.text
    assert "secret" not in caplog.text


def test_configuration_that_is_none_is_passed_over(home: Path) -> None:
    (home / ".pip").mkdir()
    (home / ".pip/pip.conf").write_text("no section")
    (home / ".cargo").mkdir()
    (home / ".cargo/config.toml").write_text("= 1")
    (home / ".gemrc").write_text(": : :\n- [")
    reach = host_reach({}, home, None, etc=home)
    assert (reach.npmrc, reach.cargo_config, reach.gem_sources) == ("", "", ())


def test_extra_certificates_are_trusted_beside_the_host_s(home: Path) -> None:
    import certifi

    pem = Path(certifi.where()).read_text().split("-----END CERTIFICATE-----")[0]
    pem = "-----BEGIN" + pem.split("-----BEGIN")[1] + "-----END CERTIFICATE-----\n"
    (home / "ca.pem").write_text(pem)
    plain_trust = host_reach({}, home, None, etc=home).trust
    trust = host_reach({}, home, home / "ca.pem").trust
    assert trust.startswith(plain_trust)
    assert pem.strip().encode() in trust


# --- pools


class FakePool(Pool):
    """A pool without an engine."""

    def __init__(self, image: str) -> None:
        self.image, self.closed = image, False

    def __contains__(self, name: object) -> bool:
        return name == f"warm-{self.image}"

    async def close(self) -> None:
        self.closed = True


async def test_images_used_last_keep_their_pools() -> None:
    made: list[FakePool] = []

    def make(kind: Kind) -> Pool:
        made.append(FakePool(kind.image))
        return made[-1]

    def kind(image: object) -> Kind:
        return Kind(str(image), gated=False)

    pools = Pools(make)
    first = pools.of(kind(0))
    for number in range(MOST + 1):
        assert pools.of(kind(number)) is pools.of(kind(number))
        pools.of(kind(0))
    assert pools.of(kind(0)) is first
    assert "warm-0" in pools
    assert "warm-absent" not in pools
    await pools.close()
    assert len(made) == MOST + 1
    assert all(pool.closed for pool in made)
    assert "warm-0" not in pools


def test_the_program_inside_needs_nothing_but_python() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", inside.__file__, "begin"],
        capture_output=True,
        text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        check=False,
    )
    # It got as far as its plan, which is not beside the source.
    assert "plan.json" in done.stderr
