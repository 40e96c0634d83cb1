"""How a client's line is sealed: TLS 1.2 at least, by the certificate that the operator names."""

from __future__ import annotations

import socket
import ssl


def context_of(*, certificate: tuple[str, str] | None) -> ssl.SSLContext | None:
    """Return how lines are sealed with a chain and its key (PEM files), None in clear. Raises OSError, ssl.SSLError."""
    if certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*certificate)
    return context


def sealed(*, line: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    """Return the line as it is spoken over; nothing is said yet. Raises OSError."""
    return context.wrap_socket(line, server_side=True, do_handshake_on_connect=False) if context else line


def shaken(*, line: socket.socket) -> socket.socket:
    """Return the line once both sides have agreed on its seal. Raises OSError."""
    if isinstance(line, ssl.SSLSocket):
        line.do_handshake()
    return line


def holds_more(*, line: socket.socket) -> bool:
    """Whether a message was taken off the socket already and waits within the seal."""
    return isinstance(line, ssl.SSLSocket) and line.pending() > 0


def receive(*, line: socket.socket, bytes_max: int, send_s_max: float) -> bytes | None:
    """Return what came, b'' where it was nothing of the client's, None at the end of the line. Raises OSError."""
    # What wakes us may be a record of TLS itself: nobody waits for another one.
    line.settimeout(0)
    try:
        return line.recv(bytes_max) or None
    except (BlockingIOError, ssl.SSLWantReadError):
        return b""
    finally:
        line.settimeout(send_s_max)
