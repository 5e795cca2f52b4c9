"""The cable that can be pulled: it forwards, it breaks what is open, and it comes back at the same port."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from prove.cable import Cable


@pytest.fixture
def echo() -> Iterator[int]:
    """Return the port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=_send_back, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _send_back(connection: socket.socket) -> None:
    with connection, contextlib.suppress(ConnectionError):
        while data := connection.recv(100):
            connection.sendall(data)


def _ask(connection: socket.socket, data: bytes) -> bytes:
    connection.sendall(data)
    return connection.recv(100)


def test_what_is_sent_arrives_and_is_answered(echo: int) -> None:
    with Cable(echo) as cable, socket.create_connection(("127.0.0.1", cable.port), 5) as connection:
        assert _ask(connection, b"hello") == b"hello"


def test_a_pulled_cable_resets_what_is_open_and_refuses_what_is_new(echo: int) -> None:
    with Cable(echo) as cable, socket.create_connection(("127.0.0.1", cable.port), 5) as connection:
        _ask(connection, b"hello")

        cable.pull()

        with pytest.raises(ConnectionResetError):
            connection.recv(100)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", cable.port), 5)


def test_a_cable_that_is_plugged_in_again_has_the_same_port(echo: int) -> None:
    with Cable(echo) as cable:
        port = cable.port
        cable.pull()
        cable.plug()

        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            assert _ask(connection, b"again") == b"again"
