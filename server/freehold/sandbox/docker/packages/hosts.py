"""The hosts that an image's package managers are configured to use.

Read from the image and not from a sandbox, where an agent could write what it likes. A container
that has no network and nobody's data runs each manager's own way of telling.
"""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from docker import DockerClient
from docker.types import LogConfig

from freehold.core.domains import allowed_host_problem
from freehold.errors import SandboxUnavailable
from freehold.sandbox.docker.container import remove
from freehold.sandbox.docker.names import LABEL_GATE, LABEL_OWNER

_SECONDS = 120

_SCRIPT = r"""
import glob, json, os, re, shutil, subprocess, sys

urls = set()

def said(*command):
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    return done.stdout if done.returncode == 0 else ""

PIP = '''
from pip._internal.configuration import Configuration
from pip._internal.models.index import PyPI
found = Configuration(isolated=False)
found.load()
items = dict(found.items())
# Newer versions keep the settings of each file apart.
flat = {}
for key, value in items.items():
    flat.update(value if isinstance(value, dict) else {key: value})
index = False
for key, value in flat.items():
    name = key.rsplit(".", 1)[-1]
    index = index or name == "index-url"
    if name in ("index-url", "extra-index-url", "find-links"):
        print(value)
if not index:
    print(PyPI.simple_url)
    print("https://" + PyPI.file_storage_domain)
'''
for python in ("python3", "python"):
    urls.update(said(python, "-c", PIP).split())

try:
    for key, value in json.loads(said("npm", "config", "ls", "-l", "--json") or "{}").items():
        if (key == "registry" or key.endswith(":registry")) and isinstance(value, str):
            urls.add(value)
except ValueError:
    pass

# apt tells only of what it has downloaded, so its files are read, of either format.
lists = glob.glob("/etc/apt/sources.list.d/*.list") + glob.glob("/etc/apt/sources.list.d/*.sources")
for path in ["/etc/apt/sources.list", *lists]:
    try:
        with open(path) as file:
            for line in file:
                urls.update(re.findall(r"https?://[^\s\]]+", line.split("#")[0]))
    except OSError:
        pass

for source in said("gem", "sources").split():
    if "://" in source:
        urls.add(source)
        urls.add(source.replace("://", "://index.", 1))

for word in re.split(r"[\s,|]+", said("go", "env", "GOPROXY", "GOSUMDB")):
    if word and word not in ("direct", "off"):
        urls.add(word if "://" in word else "https://" + word)

home = os.environ.get("CARGO_HOME") or os.path.expanduser("~/.cargo")
for path in (home + "/config.toml", home + "/config"):
    try:
        with open(path) as file:
            urls.update(re.findall(r'=\s*"(?:sparse\+|registry\+)?(https?://[^"]+)"', file.read()))
    except OSError:
        pass

print(json.dumps(sorted(urls)))
"""


def read_package_hosts(client: DockerClient, image: str, owner: str) -> tuple[str, ...]:
    """The hosts, sorted; a manager that the image has not adds none. Blocks.

    Raises:
        SandboxUnavailable: the image has no Python that could tell.
        DockerException: the engine could not.
    """
    container: str = client.api.create_container(
        image,
        entrypoint=["python3", "-c", _SCRIPT],
        command=[],
        user="1000:1000",
        labels={LABEL_OWNER: owner, LABEL_GATE: "packages"},
        host_config=client.api.create_host_config(
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges:true"],
            mem_limit="512m",
            pids_limit=128,
            log_config=LogConfig(type="json-file", config={"max-size": "256k"}),
        ),
    )["Id"]
    try:
        client.api.start(container)
        status = client.api.wait(container, timeout=_SECONDS)["StatusCode"]
        told = client.api.logs(container, stdout=True, stderr=False).decode(errors="replace")
    finally:
        remove(client, container)
    if status != 0:
        raise SandboxUnavailable(
            f"The image {image} does not tell which hosts its package managers use (exit {status})."
            " Name them in FREEHOLD_PACKAGE_HOSTS."
        )
    return hosts_of(json.loads(told.strip().splitlines()[-1]))


def hosts_of(urls: list[str]) -> tuple[str, ...]:
    """The hosts in URLs; what is none, such as a folder, is left out."""
    found = set()
    for url in urls:
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            continue
        if parts.scheme in {"http", "https"} and host and allowed_host_problem(host) is None:
            found.add(host)
    return tuple(sorted(found))
