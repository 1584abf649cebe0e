#!/bin/sh
# Everything of the gate's image that comes from a package registry: Debian packages and mitmproxy.
# Runs as root in two places, as the sandbox image's script of this name does: in `docker build` and
# in a root file system under construction. What is already there is left alone.
#
# EXTRA_CA: a PEM bundle that downloads trust besides the system's own; nothing of it stays.
set -eu
here=$(dirname "$0")
export DEBIAN_FRONTEND=noninteractive

installed() { dpkg-query -W -f='${db:Status-Abbrev}\n' "$1" 2>/dev/null | grep -q '^ii'; }

trust=/etc/ssl/certs/ca-certificates.crt
if [ -n "${EXTRA_CA:-}" ] && [ -s "$EXTRA_CA" ]; then
    cat "$trust" "$EXTRA_CA" > /tmp/freehold-trust.crt 2>/dev/null || true
    trust=/tmp/freehold-trust.crt
fi

missing=
while read -r package; do
    case "$package" in '' | '#'*) continue ;; esac
    installed "$package" || missing="$missing $package"
done < "$here/packages.txt"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3 python3-venv"
if [ -n "$missing" ]; then
    echo "freehold: installing$missing"
    apt-get -o "Acquire::https::CaInfo=$trust" update -q
    # shellcheck disable=SC2086
    apt-get -o "Acquire::https::CaInfo=$trust" install -q -y --no-install-recommends $missing
    rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
    apt-get clean
fi

gate=/opt/freehold-gate
if [ ! -x "$gate/bin/mitmdump" ]; then
    echo "freehold: installing mitmproxy"
    python=$(PATH=/usr/local/bin:/usr/bin:/bin command -v python3)
    "$python" -m venv --clear "$gate"
    PIP_CERT=$trust "$gate/bin/pip" install --quiet --no-cache-dir --disable-pip-version-check \
        --require-hashes -r "$here/requirements.txt"
fi
rm -f /tmp/freehold-trust.crt
rm -rf /root/.cache /usr/share/man /usr/share/locale /usr/share/info
