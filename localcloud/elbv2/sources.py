"""Which addresses a load balancer connects from, and which may connect to it."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Callable, Iterable

    import aiohttp

SO_ATTACH_FILTER = 26
_NETWORK_HEADER = 0xFFF00000  # where a filter of a socket finds the IP header
_SOURCE = _NETWORK_HEADER + 12
_LOAD, _AND, _IF_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x06


class Sessions:
    """Connections to targets: a session for each address to connect from. To be used in one event loop.

    Args:
        make: Makes one; without an address the kernel chooses.
    """

    def __init__(self, make: Callable[[str | None], aiohttp.ClientSession]) -> None:
        self._make = make
        self._sessions: dict[str | None, aiohttp.ClientSession] = {}

    def of(self, source: str | None) -> aiohttp.ClientSession:
        """Return the session of an address."""
        if source not in self._sessions:
            self._sessions[source] = self._make(source)
        return self._sessions[source]

    async def close(self) -> None:
        """Close all."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


def restrict(listening: Any, networks: Iterable[ipaddress.IPv4Network]) -> None:
    """Have the kernel drop packets to a listening socket from elsewhere, so that connecting times out, as at AWS.

    Connections that exist keep the filter of their time, as AWS's tracked ones do.
    """
    program = []
    for network in networks:
        program += [
            (_LOAD, 0, 0, _SOURCE),
            (_AND, 0, 0, int(network.netmask)),
            (_IF_EQUAL, 0, 1, int(network.network_address)),
            (_RETURN, 0, 0, 0xFFFFFFFF),
        ]
    packed = b"".join(struct.pack("HBBI", *step) for step in [*program, (_RETURN, 0, 0, 0)])
    steps = ctypes.create_string_buffer(packed)
    listening.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", len(program) + 1, ctypes.addressof(steps))
    )
