"""Messages between the daemon and a decode child: JSON over a Unix socket, and descriptors.

The child reads strangers' files, so the daemon takes nothing from it but numbers and text.
"""

import json
import socket
from collections.abc import Iterable
from typing import Any

MESSAGE_BYTES = 128 * 1024
DESCRIPTORS = 3
#: How a child ends that has no memory left, not even to say so.
NO_MEMORY = 77

Message = dict[str, Any]  # Any: JSON


def pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a channel that keeps messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: Message, descriptors: Iterable[int] = ()) -> None:
    """Send one message; `OSError` if nobody listens any more."""
    socket.send_fds(end, [json.dumps(message).encode("ascii")], list(descriptors))


def receive_with_descriptors(end: socket.socket) -> tuple[Message, list[int]]:
    """What the daemon sends; empty once it has closed its end."""
    data, descriptors, _, _ = socket.recv_fds(end, MESSAGE_BYTES, DESCRIPTORS)
    return (json.loads(data) if data else {}), descriptors


def receive(end: socket.socket) -> Message:
    """What the child sends, without descriptors; empty if it has ended.

    `ValueError` if it is no message: the child may have been taken over.
    """
    data = end.recv(MESSAGE_BYTES)
    if not data:
        return {}
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("not a message of a decode child")
    return message
