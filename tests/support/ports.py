"""Ports of loopback addresses."""

import contextlib
import random
import socket

_RANGE = range(10240, 32768)
"""Below the ports that the kernel gives to connections: one of those would take the port before it is listened on."""


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """So many that nobody listens on, neither by TCP nor by UDP."""
    found: list[int] = []
    while len(found) < count:
        port = random.choice(_RANGE)
        if port not in found and _is_free(address, port):
            found.append(port)
    return found


def _is_free(address: str, port: int) -> bool:
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def answers(port: int) -> bool:
    """Whether something listens on that port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
