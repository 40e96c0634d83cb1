"""Keep a port to this machine where whoever opens it can only open it to the whole network."""

from __future__ import annotations

import os
import socket
from pathlib import Path

DEVICE = b"lo"
DESCRIPTORS = Path("/proc/self/fd")
# Linux only; elsewhere a firewall has to do it.
BIND_TO_DEVICE: int = getattr(socket, "SO_BINDTODEVICE", 0)


def keep_local(*, port: int) -> int:
    """Let the listening sockets of this process on `port` hear the loopback device only; return how many there are.

    QuickFIX's acceptor knows no address to listen at and takes all of them. Raises OSError where it is not allowed.
    """
    if not BIND_TO_DEVICE or not DESCRIPTORS.is_dir():
        return 0
    return sum(_bound(int(each), port) for each in os.listdir(DESCRIPTORS))


def _bound(descriptor: int, port: int) -> bool:
    try:
        line = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return False  # It is no socket, or closed by now: the folder listed its own.
    with line:
        if line.family != socket.AF_INET or not line.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        if line.getsockname()[1] != port:
            return False
        line.setsockopt(socket.SOL_SOCKET, BIND_TO_DEVICE, DEVICE)
        return True
