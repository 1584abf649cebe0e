#!/usr/bin/env bash
# A Docker engine for CI.
#   .ci/docker.sh start   if no engine answers: install Debian's docker.io if missing, start dockerd
#   .ci/docker.sh stop    end the dockerd that `start` started, and only that one
# For machines without an init system; an engine that already answers is used as it is.
set -euo pipefail
cd "$(dirname "$0")/.."

host=${DOCKER_HOST:-unix:///var/run/docker.sock}
state=.data/ci
pid_file=$state/dockerd.pid
log=$state/dockerd.log
patience=60

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo -n "$@"
  else echo "needs root or sudo to run: $*" >&2; return 1
  fi
}

# Asks the engine itself, not a client that may be missing or of another version.
answers() {
  python3 - "$host" <<'PY'
import http.client
import socket
import sys
from urllib.parse import urlsplit

where = urlsplit(sys.argv[1])
try:
    if where.scheme == "unix":
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(5)
        line.connect(where.path)
    else:
        line = socket.create_connection((where.hostname, where.port or 2375), 5)
    http_line = http.client.HTTPConnection("docker")
    http_line.sock = line
    http_line.request("GET", "/_ping")
    sys.exit(http_line.getresponse().status != 200)
except (OSError, http.client.HTTPException):
    sys.exit(1)
PY
}

install_engine() {
  command -v dockerd >/dev/null && return
  echo "Installing Debian's docker.io"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  # Its recommended companions are named, so that no others come along.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    docker.io iptables ca-certificates >/dev/null
}

start() {
  if answers; then
    echo "An engine answers at $host."
    return
  fi
  if [ "${host%%:*}" != unix ]; then
    echo "No engine answers at DOCKER_HOST=$host, and only a local one can be started." >&2
    return 1
  fi
  install_engine
  if ! mountpoint -q /sys/fs/cgroup; then
    as_root mount -t cgroup2 none /sys/fs/cgroup
  fi
  mkdir -p "$state"
  # setsid: an interrupt at the terminal must not end the engine before its containers.
  # The engine writes its own record: with sudo in between, $! would not be its process.
  as_root setsid dockerd --host "$host" --pidfile "$PWD/$pid_file" >"$log" 2>&1 </dev/null &
  local waited=0
  until answers; do
    sleep 1
    waited=$((waited + 1))
    if [ "$waited" -ge "$patience" ]; then
      echo "dockerd does not answer after $patience s. Its last lines:" >&2
      tail -n 20 "$log" >&2
      return 1
    fi
  done
  echo "Started dockerd (process $(cat "$pid_file")), log in $log."
}

stop() {
  [ -f "$pid_file" ] || return 0
  local pid
  pid=$(cat "$pid_file")
  rm -f "$pid_file"
  # A process id is used again one day; end nothing but an engine.
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = dockerd ] || return 0
  as_root kill "$pid"
  for _ in $(seq "$patience"); do
    [ -d "/proc/$pid" ] || { echo "Stopped dockerd (process $pid)."; return; }
    sleep 1
  done
  echo "dockerd (process $pid) does not end." >&2
  return 1
}

case "${1:-}" in
  start) start ;;
  stop) stop ;;
  *) sed -n '2,5s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
