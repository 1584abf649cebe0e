"""Runs once in a sandbox's network namespace and gives the gate its sockets.

The namespace has loopback and nothing else. A default route through loopback makes every address
seem reachable, so that the packet filter sees the connection; the filter turns what the gate serves
to local sockets and refuses all else. Nothing ever leaves by loopback. The sandbox has no
capability to change any of this, and needs ``CAP_NET_ADMIN`` as little as the gate does.

Every namespace is prepared alike, also before it is known whose it will be: what may be reached is
the gate's to say, connection by connection. The socket for ports other than the web's is not
listening yet, so that they refuse connections until the gate opens it.
"""

from __future__ import annotations

import array
import json
import shutil
import socket
import subprocess
import sys

WEB_PORT = 15001
OTHER_PORT = 15002
DNS_PORT = 15053
OWN_ADDRESS = "198.18.0.2"
"""An address beside loopback's, or the resolver library would take the machine to be offline."""
_SECONDS = 20.0


class AttachError(Exception):
    """The namespace could not be prepared; the text says why."""


def attach(desk: str, key: str) -> None:
    """Prepare this namespace and hand its sockets to the gate whose socket ``desk`` is.

    Args:
        desk: Path of the gate's socket for this.
        key: What the server calls the sandbox.

    Raises:
        AttachError: the namespace is not a bare one, or the gate or the filter refused.
    """
    _must_be_bare()
    # The sockets first: a connection that is turned to a port nobody has is refused.
    web, other, names = (socket.socket(socket.AF_INET, socket.SOCK_STREAM) for _ in range(3))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        for one, port in ((web, WEB_PORT), (other, OTHER_PORT), (names, DNS_PORT)):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind(("127.0.0.1", port))
        datagrams.bind(("127.0.0.1", DNS_PORT))
        web.listen(128)
        names.listen(16)
    except OSError as error:
        raise AttachError(f"the gate's ports are taken: {error}") from error
    _redirect()
    _hand_over(desk, key, [web, other, datagrams, names])


def _must_be_bare() -> None:
    """Refuse a namespace with a way out: nothing below would hold there."""
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    # Tunnel devices that some kernels put into every namespace are down and lead nowhere.
    others = [name for name in others if _is_up(name)]
    if others:
        raise AttachError(f"the sandbox has network interfaces of its own: {', '.join(others)}")


def _is_up(name: str) -> bool:
    shown = _run(["ip", "-o", "link", "show", "dev", name])
    return ",UP" in shown or "<UP" in shown


RULES = f"""\
*filter
:INPUT ACCEPT
:FORWARD DROP
:OUTPUT ACCEPT
-A OUTPUT -d 127.0.0.0/8 -j ACCEPT
-A OUTPUT -d {OWN_ADDRESS} -j ACCEPT
-A OUTPUT -p tcp -j REJECT --reject-with tcp-reset
-A OUTPUT -j REJECT --reject-with icmp-net-unreachable
COMMIT
*nat
:OUTPUT ACCEPT
-A OUTPUT -d 127.0.0.0/8 -j RETURN
-A OUTPUT -d {OWN_ADDRESS} -j RETURN
-A OUTPUT -p udp --dport 53 -j REDIRECT --to-ports {DNS_PORT}
-A OUTPUT -p tcp --dport 53 -j REDIRECT --to-ports {DNS_PORT}
-A OUTPUT -p tcp -m multiport --dports 80,443 -j REDIRECT --to-ports {WEB_PORT}
-A OUTPUT -p tcp -j REDIRECT --to-ports {OTHER_PORT}
COMMIT
"""
"""For ``iptables-restore``: the refusals come first, so that at no moment more is open than in the
end."""


def _redirect() -> None:
    _run(["ip", "address", "replace", f"{OWN_ADDRESS}/32", "dev", "lo"])
    _run(["ip", "route", "replace", "default", "dev", "lo", "src", "127.0.0.1"])
    refusals = []
    for tables in ("iptables-restore", "iptables-legacy-restore"):
        if shutil.which(tables) is None:
            continue
        try:
            _run([tables, "-w"], RULES)
        except AttachError as error:
            refusals.append(str(error))
        else:
            return
    told = "; ".join(refusals) or "there is no iptables"
    raise AttachError(f"the kernel offers no packet filter (iptables, nat table): {told}")


def _run(command: list[str], told: str = "") -> str:
    try:
        done = subprocess.run(  # noqa: S603 - programs of the image, no shell
            command, input=told, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AttachError(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        raise AttachError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _hand_over(desk: str, key: str, sockets: list[socket.socket]) -> None:
    fds = array.array("i", [one.fileno() for one in sockets])
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
            line.settimeout(_SECONDS)
            line.connect(desk)
            line.sendmsg(
                [json.dumps({"key": key}).encode()],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds.tobytes())],
            )
            reply = line.recv(1024)
    except OSError as error:
        raise AttachError(f"the gate does not answer: {error}") from error
    if reply != b"ok":
        raise AttachError(f"the gate refused: {reply.decode(errors='replace') or 'hung up'}")


def main(desk: str, key: str) -> int:
    """:func:`attach` as a program: the exit status, with the reason on standard error."""
    try:
        attach(desk, key)
    except AttachError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
