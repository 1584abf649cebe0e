#!/usr/bin/env python3
"""Have LibreOffice compute every formula of a workbook and store the values in it."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--output", help="where to write (default: in place)")
    parser.add_argument("--timeout", type=int, default=120, help="seconds (default 120)")
    given = parser.parse_args()
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        sys.exit(
            "LibreOffice is not here. `apt-get install libreoffice-calc` gets it where packages "
            "may be installed. Without it the formulas are in the file and are computed as soon "
            "as somebody opens it in Excel; tell the user."
        )
    source = Path(given.file).resolve()
    if not source.is_file():
        sys.exit(f"{source}: no such file")
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                program,
                f"-env:UserInstallation=file://{folder}/profile",
                "--headless",
                "--convert-to",
                "xlsx:Calc MS Excel 2007 XML",
                "--outdir",
                f"{folder}/out",
                source,
            ],
            capture_output=True,
            text=True,
            timeout=given.timeout,
            check=False,
        )
        made = Path(folder, "out", source.stem + ".xlsx")
        if not made.is_file():
            sys.exit(f"LibreOffice failed: {done.stderr.strip() or done.stdout.strip()}")
        target = Path(given.output) if given.output else source
        shutil.copyfile(made, target)
    print(f"computed and stored in {target}")


if __name__ == "__main__":
    main()
