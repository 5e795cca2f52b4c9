"""The TCP proxy forwards, resets open connections when it is cut, and comes back on the same port."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from prove.tcp_proxy import TcpProxy


@pytest.fixture
def echo() -> Iterator[int]:
    """Return the port of an echo server."""
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
    with TcpProxy(echo) as proxy, socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        assert _ask(connection, b"hello") == b"hello"


def test_a_cut_proxy_resets_open_connections_and_refuses_new_ones(echo: int) -> None:
    with TcpProxy(echo) as proxy, socket.create_connection(("127.0.0.1", proxy.port), 5) as connection:
        _ask(connection, b"hello")

        proxy.cut()

        with pytest.raises(ConnectionResetError):
            connection.recv(100)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), 5)


def test_a_restored_proxy_listens_on_the_same_port(echo: int) -> None:
    with TcpProxy(echo) as proxy:
        port = proxy.port
        proxy.cut()
        proxy.restore()

        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            assert _ask(connection, b"again") == b"again"
