"""The HTTP server: `/` for people, `/version` and `/healthz` for machines, and a drain before it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .page import render
from .settings import Settings, SettingsError
from .state import State

MOST_WAIT_SECONDS = 30.0
Answer = tuple[int, str, bytes]
_JSON = "application/json"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests, in a thread of its own."""

    protocol_version = "HTTP/1.1"
    # An idle connection outlives the load balancer's idle time-out (60 s), so that the balancer closes it first
    # and never sends a request into a connection that this side is closing.
    timeout = 75
    # Head and body leave in one packet, at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer a request."""
        with self.server.state:
            began = time.monotonic()
            status, content_type, body = self._answer()
            self._send(status, content_type, body)
        if self.server.settings.access_log:
            self._log_access(status, len(body), time.monotonic() - began)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def version_string(self) -> str:
        """Name the service, and not what it is written in, in the `Server` header."""
        return "webapp"

    def _answer(self) -> Answer:
        url = urlsplit(self.path)
        route = self.server.routes.get(url.path)
        if route is None:
            return 404, _JSON, _json({"error": f"no such page: {url.path}"})
        return route(url.query)

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        # No page reads a body: it must not be taken for the client's next request.
        has_body = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        if self.server.state.draining or has_body:
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _log_access(self, status: int, size: int, seconds: float) -> None:
        entry = {
            "client": self.client_address[0],
            "method": self.command,
            "path": self.path,
            "status": status,
            "bytes": size,
            "ms": round(seconds * 1000, 1),
        }
        print(json.dumps(entry), flush=True)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as http.server names it
        """Keep http.server's own log quiet; `WEBAPP_ACCESS_LOG=1` writes a structured one."""


class Server(ThreadingHTTPServer):
    """The listening socket, and what every connection shares."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = State(settings)
        self._page = render(settings)
        self._version = _json({"version": settings.version, "host": settings.host, "instance_id": settings.instance_id})
        self.routes: dict[str, Callable[[str], Answer]] = {
            "/": lambda _query: (200, "text/html; charset=utf-8", self._page),
            "/version": lambda _query: (200, _JSON, self._version),
            "/healthz": self._healthz,
            "/wait": self._wait,
        }
        super().__init__((settings.bind, settings.port), Handler)

    def server_bind(self) -> None:
        """Bind without the reverse look-up of the address that http.server would do, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - as socketserver calls it
        """Log in one line what went wrong with a connection; ignore a client that disconnected."""
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"webapp: {client_address[0]}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)

    def _healthz(self, _query: str) -> Answer:
        status, word = self.state.health()
        return status, _JSON, _json({"status": word})

    def _wait(self, query: str) -> Answer:
        """Answer slowly, to show that a drain lets the answer finish."""
        text = parse_qs(query).get("seconds", ["1"])[-1]
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds <= MOST_WAIT_SECONDS:
            return 400, _JSON, _json({"error": f"seconds={text!r}: must be from 0 to {MOST_WAIT_SECONDS:g}"})
        time.sleep(seconds)
        return 200, _JSON, _json({"waited": seconds})


def run(settings: Settings) -> bool:
    """Serve until SIGTERM or SIGINT, then drain; return whether every answer that had begun was finished.

    A second signal ends the drain at once.
    """
    signals = threading.Semaphore(0)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: signals.release())
    server = Server(settings)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    print(f"webapp {settings.version} listening on {server.server_name}:{server.server_port}", flush=True)
    _notify("READY=1")

    signals.acquire()
    _notify("STOPPING=1")
    server.state.drain()
    print(f"webapp: stopping, draining for {settings.drain_seconds:g} s", flush=True)
    signals.acquire(timeout=settings.drain_seconds)
    server.shutdown()
    server.server_close()
    finished = server.state.wait_until_idle(settings.finish_seconds)
    print("webapp: stopped" if finished else "webapp: stopped; some answers were cut short", flush=True)
    return finished


def _notify(message: str) -> None:
    """Notify systemd of the service's state (sd_notify(3)), if it set NOTIFY_SOCKET."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.sendto(message.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)


def _json(value: dict[str, Any]) -> bytes:
    return (json.dumps(value) + "\n").encode()


def main() -> int:
    """Run the service with the settings of the environment; return the exit status."""
    try:
        return 0 if run(Settings.read(os.environ)) else 1
    except (SettingsError, OSError) as error:
        print(f"webapp: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
