"""Run a notebook's code cells, one after the other, as Jupyter would; needs IPython."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from IPython.core.interactiveshell import InteractiveShell  # type: ignore[import-not-found]


def main(notebook: Path) -> int:
    """0 if every cell ran; cells that install packages are left out."""
    cells = json.loads(notebook.read_text())["cells"]
    os.chdir(notebook.parent)
    sys.path.insert(0, str(notebook.parent))
    shell = InteractiveShell.instance()
    done = 0
    for number, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        lines = "".join(cell["source"]).splitlines()
        kept = [line for line in lines if "pip " not in line and not line.startswith("%%capture")]
        ran = shell.run_cell("\n".join(kept))
        if not ran.success:
            error = ran.error_in_exec or ran.error_before_exec
            print(f"\n{done} cells, then cell {number} failed: {error!r}"[:400])
            return 1
        done += 1
    print(f"\n{done} cells, all ran")
    return 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]).resolve())
    sys.stdout.flush()
    os._exit(code)  # some leave threads behind that wait for more
