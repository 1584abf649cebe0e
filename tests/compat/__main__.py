"""Run programs that were written for the hosted service against a Freehold of this checkout.

``python -m tests.compat`` lists the suites, ``python -m tests.compat NAME…`` runs some of them.
What is in a package registry is installed into ``.compat/``; what is only in a public repository is
run where you have it checked out, below the folder that ``COMPAT_CHECKOUTS`` names, as
``OWNER/NAME``. Nothing of it is copied into this repository. ``docs/COMPATIBILITY.md`` has what
came of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from tests.support.running import ServerProcess, free_port

HERE = Path(__file__).resolve().parent
WORK = HERE.parent.parent / ".compat"
SDK = "2.12.0"
TYPESCRIPT_SDK = "1.12.0"

RESOURCES = [
    "agents",
    "environments",
    "memory_stores",
    "sessions",
    "skills",
    "vaults",
    "test_agents.py",
    "test_environments.py",
    "test_files.py",
    "test_memory_stores.py",
    "test_models.py",
    "test_sessions.py",
    "test_skills.py",
    "test_vaults.py",
    "test_deployments.py",
    "test_deployment_runs.py",
    "organization/test_webhooks.py",
    "organization/test_workspaces.py",
    "organization/test_api_keys.py",
    "test_organization.py",
]
COOKBOOKS = [
    "CMA_iterate_fix_failing_tests",
    "CMA_gate_human_in_the_loop",
    "CMA_remember_user_preferences",
    "CMA_explore_unfamiliar_codebase",
    "CMA_orchestrate_issue_to_pr",
    "CMA_operate_in_production",
]
LABS = [
    "lab_02_first_python_session/lab02",
    "lab_05_streaming_agent/lab05",
    "lab_07_hitl/lab07",
]


class Bench:
    """A running Freehold, with a key of a workspace, one of the organization, and a queue."""

    def __init__(self, server: ServerProcess, data_dir: Path) -> None:
        self.url = server.url
        self._data_dir = data_dir
        self.key = self.issue()
        self.admin_key = self.issue("--admin")
        self.issue("--name", "spare")

    def issue(self, *options: str) -> str:
        command = [sys.executable, "-m", "freehold", "keys", "create", "--quiet", *options]
        command += ["--data-dir", str(self._data_dir)]
        made = subprocess.run(command, check=True, capture_output=True, text=True)
        return made.stdout.strip()

    def run(self, *command: str | Path, cwd: Path | None = None, **variables: str) -> bool:
        """Run a client, and say how it ended."""
        environment = {
            **os.environ,
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": self.key,
            "GITHUB_TOKEN": "ghp_not-a-token",
            "MPLBACKEND": "agg",
            **variables,
        }
        words = [str(word) for word in command]
        print(f"\n$ {' '.join(words)}", flush=True)
        try:
            code = subprocess.run(words, cwd=cwd, env=environment, timeout=900, check=False)
        except subprocess.TimeoutExpired:
            print("-> did not end within 15 minutes")
            return False
        print(f"-> exit {code.returncode}", flush=True)
        return code.returncode == 0

    @contextlib.contextmanager
    def stood_in_for(self, name: str) -> Iterator[dict[str, str]]:
        """The go-between for generated tests; its log is ``.compat/NAME.jsonl``."""
        port, log = free_port(), WORK / f"{name}.jsonl"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.compat.stand_in", "--upstream", self.url]
        command += ["--port", str(port), "--log", str(log)]
        command += ["--key", self.key, "--admin-key", self.admin_key]
        stand_in = subprocess.Popen(command, cwd=HERE.parent.parent)
        try:
            time.sleep(5)
            yield {"TEST_API_BASE_URL": f"http://127.0.0.1:{port}"}
        finally:
            stand_in.terminate()
            stand_in.wait()


def every(results: Iterable[bool]) -> bool:
    """Whether all are true; unlike ``all`` it runs them all."""
    return all(list(results))


def python(name: str, *packages: str) -> Path:
    """The Python of a virtual environment with these packages."""
    home = WORK / name
    interpreter = home / "bin" / "python"
    if not interpreter.exists():
        venv.create(home, with_pip=True)
        subprocess.run([interpreter, "-m", "pip", "install", "-q", *packages], check=True)
    return interpreter


def checkout(name: str) -> Path:
    """Where a public repository is checked out.

    Raises:
        SystemExit: it is not.
    """
    found = Path(os.environ.get("COMPAT_CHECKOUTS", "checkouts")).resolve() / name
    if not found.is_dir():
        raise SystemExit(f"Check out {name} at {found}, or set COMPAT_CHECKOUTS.")
    return found


def python_sdk() -> tuple[Path, Path]:
    """The Python SDK's source distribution, which has its tests and examples, and a Python."""
    interpreter = python(
        "python-sdk",
        f"anthropic[mcp,aiohttp,webhooks]=={SDK}",
        *[
            "pytest",
            "pytest-asyncio",
            "pytest-xdist",
            "respx",
            "dirty-equals",
            "time-machine",
        ],
        *[
            "inline-snapshot",
            "http-snapshot",
            "griffe",
            "rich",
            "opentelemetry-sdk",
            "ipython",
            "python-dotenv",
        ],
    )
    if not (WORK / f"anthropic-{SDK}").is_dir():
        download = [interpreter, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
        subprocess.run([*download, f"anthropic=={SDK}", "-d", WORK], check=True)
        with tarfile.open(WORK / f"anthropic-{SDK}.tar.gz") as packed:
            packed.extractall(WORK, filter="data")
    return WORK / f"anthropic-{SDK}", interpreter


def sdk_tests(bench: Bench) -> bool:
    """The generated API tests of the Python SDK."""
    source, interpreter = python_sdk()
    chosen = [f"tests/api_resources/beta/{name}" for name in RESOURCES]
    with bench.stood_in_for("sdk-tests") as variables:
        return bench.run(
            interpreter, "-m", "pytest", "-q", "--tb=line", "-n2", *chosen, cwd=source, **variables
        )


def worker_variables(bench: Bench) -> dict[str, str]:
    """A self-hosted environment, and a key for its workers."""
    from tests.support.running import client_of

    client = client_of(bench.url, default_headers={"x-api-key": bench.key})
    queue = client.beta.environments.create(name="queue", config={"type": "self_hosted"})
    (WORK / "workdir").mkdir(exist_ok=True)
    return {
        "ANTHROPIC_ENVIRONMENT_ID": queue.id,
        "ANTHROPIC_ENVIRONMENT_KEY": bench.issue("--environment", queue.id),
        "ANTHROPIC_WORKDIR": str(WORK / "workdir"),
    }


def sdk_examples(bench: Bench) -> bool:
    """The managed-agents examples of the Python SDK, unmodified."""
    source, interpreter = python_sdk()
    names = "agents agents_comprehensive agents_with_files managed-agents-streaming-deltas-manual"
    done = [
        bench.run(interpreter, f"examples/{name}.py", cwd=source)
        for name in [*names.split(), "message_threads"]
    ]
    worker = "examples/managed-agents-self-hosted-sandbox-worker.py"
    done.append(bench.run(interpreter, worker, cwd=source, **worker_variables(bench)))
    return all(done)


def ts_examples(bench: Bench) -> bool:
    """The managed-agents examples of the TypeScript SDK, unmodified, with the SDK from npm."""
    home = WORK / "typescript"
    home.mkdir(exist_ok=True)
    if not (home / "node_modules").is_dir():
        (home / "package.json").write_text('{"private": true, "type": "commonjs"}')
        packages = [f"@anthropic-ai/sdk@{TYPESCRIPT_SDK}", "tsx", "zod@4"]
        subprocess.run(["npm", "install", "--no-audit", *packages], cwd=home, check=True)
    examples = checkout("anthropics/anthropic-sdk-typescript") / "examples"
    # Beside the package from npm, so that they find it.
    for example in examples.iterdir():
        if example.is_file():
            shutil.copy(example, home)
    worker = worker_variables(bench)
    names = "agents agents-with-files managed-agents-streaming-deltas-manual"
    names += " managed-agents-self-hosted-sandbox-worker"
    tsx = home / "node_modules" / ".bin" / "tsx"
    return every(bench.run(tsx, f"{name}.ts", cwd=home, **worker) for name in names.split())


def ruby_tests(bench: Bench) -> bool:
    """The generated API tests of the Ruby SDK; Debian's ruby, -webmock, -async, -minitest-hooks."""
    source = checkout("anthropics/anthropic-sdk-ruby")
    webhooks = checkout("standard-webhooks/standard-webhooks") / "libraries" / "ruby" / "lib"
    tests = source / "test" / "anthropic" / "resources" / "beta"
    kinds = [
        "agent",
        "environment",
        "file",
        "memory_store",
        "session",
        "skill",
        "vault",
        "deployment",
        "model",
    ]
    chosen = [
        f
        for f in sorted(tests.rglob("*_test.rb"))
        if f.relative_to(tests).parts[0].startswith(tuple(kinds))
    ]
    load = "ARGV.each { |file| require file }; ARGV.clear"
    paths = ["-I", HERE / "ruby", "-I", webhooks, "-I", "lib"]
    with bench.stood_in_for("ruby-tests") as variables:
        return bench.run("ruby", *paths, "-e", load, *chosen, cwd=source, **variables)


def smoke(bench: Bench) -> bool:
    """cfregly/claude-managed-agents: its live smoke, and its clean-up."""
    _, interpreter = python_sdk()
    source = checkout("cfregly/claude-managed-agents")
    ran = bench.run(interpreter, "run.py", cwd=source)
    return bench.run(interpreter, "run.py", "--cleanup", cwd=source) and ran


def cookbooks(bench: Bench) -> bool:
    """Notebooks of the cookbooks that need no real model's judgement."""
    _, interpreter = python_sdk()
    source = checkout("anthropics/claude-cookbooks") / "managed_agents"
    notebooks = [source / f"{name}.ipynb" for name in COOKBOOKS]
    return every(bench.run(interpreter, HERE / "notebook.py", one) for one in notebooks)


def labs(bench: Bench) -> bool:
    """puria-izady/claude-managed-agents-labs, with its own environment made by ``setup_uv.sh``."""
    source = checkout("puria-izady/claude-managed-agents-labs")
    interpreter = source / ".venv" / "bin" / "python"
    notebooks = [source / f"{name}.ipynb" for name in LABS]
    return every(bench.run(interpreter, HERE / "notebook.py", one) for one in notebooks)


def ag_ui(bench: Bench) -> bool:
    """AG-UI's agent over Managed Agents, from PyPI."""
    return bench.run(python("ag-ui", "ag-ui-claude-managed-agents==0.2.2"), HERE / "agui.py")


SUITES: dict[str, Callable[[Bench], bool]] = {
    "sdk-tests": sdk_tests,
    "sdk-examples": sdk_examples,
    "ts-examples": ts_examples,
    "ruby-tests": ruby_tests,
    "smoke": smoke,
    "cookbooks": cookbooks,
    "labs": labs,
    "ag-ui": ag_ui,
}


def main(names: list[str]) -> int:
    if not names or set(names) - set(SUITES):
        for name, suite in SUITES.items():
            print(f"{name:14} {(suite.__doc__ or '').splitlines()[0]}")
        return 2 if names else 0
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        variables = {
            # As a model takes: some examples open their stream after they have sent.
            "FREEHOLD_SCRIPTED_LATENCY": "0.5",
            "FREEHOLD_SANDBOX": os.environ.get("FREEHOLD_SANDBOX", "auto"),
        }
        model = f"scripted:{HERE / 'script.yaml'}"
        with ServerProcess(data_dir, model=model, **variables) as server:
            bench = Bench(server, data_dir)
            results = {name: SUITES[name](bench) for name in names}
    for name, good in results.items():
        print(f"{name:14} {'all passed' if good else 'see above, and docs/COMPATIBILITY.md'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
