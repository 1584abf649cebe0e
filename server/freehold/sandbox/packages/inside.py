"""Installs packages inside a container that becomes an image; run there, by the image's Python.

    python3 -I -S inside.py begin | provide MANAGER | install MANAGER | script | finish

Stands alone: standard library only, Python 3.9 or later. ``plan.json`` beside it says what to
install. No shell takes part: every program is started with an array of arguments, so a package's
name cannot become a command.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

BUILD = "/opt/freehold-build"
"""Where this file, the plan and the trust lie while a build lasts."""
SCRATCH = "/tmp/freehold-build"  # noqa: S108 - the build's own container, and nobody else in it
TRUST = BUILD + "/trust.crt"
NPMRC = BUILD + "/npmrc"
CARGO_CONFIG = BUILD + "/cargo.toml"
SYSTEM_TRUST = "/etc/ssl/certs/ca-certificates.crt"
APT_LISTS = "/var/lib/apt/lists"

TOOLS: dict[str, tuple[tuple[str, ...], ...]] = {
    "apt": ((),),
    # The first is the current Rust of a stable Debian, which not every release has.
    "cargo": (("cargo-web", "rustc-web"), ("cargo",)),
    # Building an extension takes a compiler, and most gems of note have one.
    "gem": (("ruby", "ruby-dev", "gcc", "make", "libc6-dev"),),
    "go": (("golang-go", "ca-certificates"),),
    "npm": (("nodejs", "npm"),),
    "pip": (("python3-pip", "python3-venv"),),
}
"""Debian packages that bring a manager which the image lacks: the first that Debian has."""

PROGRAMS = {
    "apt": "apt-get",
    "cargo": "cargo",
    "gem": "gem",
    "go": "go",
    "npm": "npm",
    "pip": "pip",
}


def commands(manager: str, specs: list[str], gem_sources: list[str]) -> list[list[str]]:
    """The programs that install ``specs``, one after another, as arrays of arguments."""
    if manager == "apt":
        return [apt("install", "-y", "--no-install-recommends", "--", *specs)]
    if manager == "cargo":
        return [_cargo(spec) for spec in specs]
    if manager == "gem":
        sources = [part for source in gem_sources for part in ("--source", source)]
        clear = ["--clear-sources"] if sources else []
        return [["gem", "install", "--no-document", *clear, *sources, *specs]]
    if manager == "go":
        # Several at once would have to be of one module.
        return [["go", "install", s if "@" in s else f"{s}@latest"] for s in specs]
    if manager == "npm":
        options = ["--global", "--no-audit", "--no-fund", "--no-progress"]
        return [["npm", "install", *options, "--", *specs]]
    if manager == "pip":
        return [["pip", "install", "--no-input", "--progress-bar=off", "--", *specs]]
    raise SystemExit(f"no such manager: {manager}")


def apt(*arguments: str) -> list[str]:
    """``apt-get`` as a build needs it."""
    # Without the last one a mirror that does not answer is a warning.
    options = (
        *("Acquire::Retries=3", f"Acquire::https::CaInfo={TRUST}", "Dpkg::Use-Pty=0"),
        "APT::Update::Error-Mode=any",
    )
    return ["apt-get", "-q", *(part for o in options for part in ("-o", o)), *arguments]


def environment(manager: str) -> dict[str, str]:
    """What the managers find in their environment: whom to trust, where to leave nothing."""
    found = {
        **os.environ,
        "DEBIAN_FRONTEND": "noninteractive",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "NPM_CONFIG_CACHE": SCRATCH + "/npm",
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",
        "CARGO_TARGET_DIR": SCRATCH + "/cargo",
        "GOCACHE": SCRATCH + "/go",
        "TMPDIR": SCRATCH,
    }
    for name in (
        *("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"),
        *("NODE_EXTRA_CA_CERTS", "NPM_CONFIG_CAFILE", "CARGO_HTTP_CAINFO", "BUNDLE_SSL_CA_CERT"),
    ):
        found[name] = TRUST
    if Path(NPMRC).exists():
        found["NPM_CONFIG_USERCONFIG"] = NPMRC
    if os.geteuid() == 0:
        # Where nobody but root can install, the system's Python is what there is.
        found["PIP_BREAK_SYSTEM_PACKAGES"] = "1"
        found["PIP_ROOT_USER_ACTION"] = "ignore"
    if manager == "go" and shutil.which("gcc") is None:
        found.setdefault("CGO_ENABLED", "0")
    return found


def run(manager: str, argv: list[str]) -> None:
    """Run the program to its end; ends this one where it fails."""
    print("freehold: " + " ".join(argv), flush=True)
    try:
        status = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            argv, env=environment(manager), stdin=subprocess.DEVNULL, check=False
        ).returncode
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", flush=True)
        status = 127
    if status:
        # A signal is told as a shell tells it.
        sys.exit(status if status > 0 else 128 - status)


def begin() -> None:
    """Whom the image trusts, and whom the host trusts, in one bundle; a place to work in."""
    own, bundle = Path(SYSTEM_TRUST), Path(TRUST)
    if own.exists():
        bundle.write_bytes(bundle.read_bytes() + b"\n" + own.read_bytes())
    Path(SCRATCH).mkdir(exist_ok=True)
    Path(SCRATCH).chmod(0o1777)


def provide(manager: str) -> None:
    """Bring the manager itself, and what it knows, if the image lacks it."""
    if manager != "apt" and shutil.which(PROGRAMS[manager]) is not None:
        return
    if shutil.which("apt-get") is None:
        sys.exit(f"the image has neither {PROGRAMS[manager]} nor apt-get")
    if not any(Path(APT_LISTS).glob("*_*")):
        run("apt", apt("update"))
    tools = next((some for some in TOOLS[manager][:-1] if _has(some)), TOOLS[manager][-1])
    if tools:
        run("apt", apt("install", "-y", "--no-install-recommends", "--", *tools))


def install(manager: str, plan: dict[str, Any]) -> None:
    """Install the plan's packages of one manager."""
    os.chdir(SCRATCH)
    for argv in commands(manager, plan["packages"][manager], plan["gem_sources"]):
        run(manager, argv)


def finish() -> None:
    """Leave nothing behind that the packages do not need, nor a setuid file."""
    leftovers = [Path(BUILD), Path(SCRATCH)]
    leftovers += [*Path(APT_LISTS).glob("*"), *Path("/var/cache/apt").glob("*")]
    for home in (Path("/home/agent"), Path("/root")):
        leftovers += [home / name for name in (".cache", ".npm", ".cargo/registry", "go/pkg")]
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_symlink() or path.exists():
            path.unlink()
    root = os.lstat("/").st_dev
    for folder, names, files in os.walk("/"):
        names[:] = [name for name in names if _device(Path(folder, name)) == root]
        for name in files:
            _take_privilege(Path(folder, name))


def _has(names: tuple[str, ...]) -> bool:
    """Whether Debian's archive has these packages."""
    show = ["apt-cache", "show", "--quiet", "--", *names]
    found = subprocess.run(show, capture_output=True, check=False)  # noqa: S603 - as above
    return found.returncode == 0


def _take_privilege(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
        path.chmod(stat.S_IMODE(mode) & 0o1777)


def _device(path: Path) -> int:
    try:
        return path.lstat().st_dev
    except OSError:
        return -1


def _cargo(spec: str) -> list[str]:
    name, _, version = spec.partition("@")
    config = ["--config", CARGO_CONFIG] if Path(CARGO_CONFIG).exists() else []
    return ["cargo", *config, "install", *(["--version", version] if version else []), "--", name]


def main(arguments: list[str]) -> None:
    """One step of a build."""
    plan = json.loads(Path(__file__).with_name("plan.json").read_text(encoding="utf-8"))
    if arguments == ["begin"]:
        begin()
    elif arguments == ["finish"]:
        finish()
    elif arguments == ["script"]:
        run("apt", ["sh", "-eu", BUILD + "/script.sh"])
    elif arguments[0] == "provide":
        provide(arguments[1])
    else:
        install(arguments[1], plan)


if __name__ == "__main__":
    main(sys.argv[1:])
