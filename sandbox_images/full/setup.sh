# What the full image needs besides its packages; root's shell runs it when they are installed.

# Chromium's own sandbox needs rights that a container of ours lacks; the container is the sandbox.
mkdir -p /etc/chromium.d
echo 'export CHROMIUM_FLAGS="$CHROMIUM_FLAGS --no-sandbox --disable-dev-shm-usage"' \
    > /etc/chromium.d/freehold

# Playwright finds Debian's Chromium where it would put its own.
export PLAYWRIGHT_BROWSERS_PATH=/opt/pw-browsers
mkdir -p "$PLAYWRIGHT_BROWSERS_PATH"
/home/agent/.venv/bin/python - <<'END'
import pathlib
import subprocess
import sys

from playwright.sync_api import sync_playwright

chromium = pathlib.Path("/usr/bin/chromium")
with sync_playwright() as playwright:
    expected = [pathlib.Path(playwright.chromium.executable_path)]
listed = subprocess.run(
    [sys.executable, "-m", "playwright", "install", "--dry-run", "--only-shell", "chromium"],
    check=True, capture_output=True, text=True,
).stdout
for line in listed.splitlines():
    name, _, place = line.partition(":")
    if name.strip() == "Install location" and "headless_shell" in place:
        folder = pathlib.Path(place.strip())
        # What it is called has changed between releases.
        expected += [
            folder / "chrome-linux" / "headless_shell",
            folder / "chrome-headless-shell-linux64" / "chrome-headless-shell",
        ]
for place in expected:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(chromium)
    (place.parent.parent / "INSTALLATION_COMPLETE").touch()
END

# PostgreSQL's server programs, which Debian keeps off the path.
for program in /usr/lib/postgresql/*/bin/*; do
    ln -sf "$program" /usr/local/bin/
done

# The package with Go puts only `go` on the path.
ln -sf "$(/home/agent/.venv/bin/go env GOROOT)/bin/gofmt" /usr/local/bin/gofmt
