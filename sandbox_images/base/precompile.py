"""Adds bytecode to the toolbox's archive, so that a container's start does not compile it.

    python3 precompile.py toolbox.pyz

Unchecked bytecode of this very Python stands beside the source; another Python ignores it.
"""

import importlib._bootstrap_external as bootstrap
import sys
import zipfile
from importlib.util import source_hash

path = sys.argv[1]
with zipfile.ZipFile(path) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
    for name, source in members.items():
        archive.writestr(name, source)
        code = compile(source, f"{path}/{name}", "exec", dont_inherit=True)
        archive.writestr(
            name + "c", bootstrap._code_to_hash_pyc(code, source_hash(source), checked=False)
        )
