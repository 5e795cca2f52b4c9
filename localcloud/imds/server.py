"""Answers instances, which are known by the addresses they connect from."""

from __future__ import annotations

import secrets
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from localcloud.imds import documents

if TYPE_CHECKING:
    from localcloud.cloud import Cloud
    from localcloud.ec2.instances import LocalInstance

TOKEN_PATH = "/latest/api/token"  # noqa: S105 # a path
LONGEST_TOKEN = 21600
"""Seconds, as at AWS."""
TOKENS_KEPT = 10_000


class MetadataServer:
    """The service of one cloud, at one address that only its instances reach."""

    def __init__(self, cloud: Cloud, locate: Callable[[str], LocalInstance | None]) -> None:
        self.cloud = cloud
        self.locate = locate
        self.port = 0
        self._tokens: dict[str, tuple[str, float]] = {}
        """The instance and the end of each token."""
        self._server: ThreadingHTTPServer | None = None

    def start(self, address: str) -> None:
        """Listen at an address of this machine, on any port.

        Raises:
            OSError: it is not an address of this machine.
        """
        service = self

        class Handler(_Handler):
            metadata = service

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, name="metadata", daemon=True).start()

    def stop(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    def issue(self, instance: LocalInstance, seconds: int) -> str:
        """Return a token that this instance may use for so long."""
        token = secrets.token_urlsafe(40)
        while len(self._tokens) >= TOKENS_KEPT:
            self._tokens.pop(next(iter(self._tokens)))
        self._tokens[token] = (instance.id, time.monotonic() + seconds)
        return token

    def admits(self, instance: LocalInstance, token: str | None) -> bool:
        """Return whether a request may be answered: by its token, or without one where the instance needs none."""
        if token is None:
            return bool(instance.metadata_options.http_tokens != "required")
        owner, end = self._tokens.get(token, ("", 0.0))
        return owner == instance.id and time.monotonic() < end

    def document(self, instance: LocalInstance, path: str) -> str | None:
        """Return what is at a path, or None."""
        top, _, rest = path.strip("/").partition("/")
        if not top:
            return "latest"
        if top != "latest":
            return None
        with self.cloud.lock:
            return documents.read(documents.tree(instance), rest)


class _Handler(BaseHTTPRequestHandler):
    metadata: MetadataServer
    protocol_version = "HTTP/1.1"
    server_version = "EC2ws"
    sys_version = ""
    timeout = 30

    def do_GET(self) -> None:
        """Answer with a document or a listing."""
        instance = self._instance()
        if instance is None:
            return
        if not self.metadata.admits(instance, self.headers.get("X-aws-ec2-metadata-token")):
            self._answer(HTTPStatus.UNAUTHORIZED)
            return
        found = self.metadata.document(instance, self.path.partition("?")[0])
        if found is None:
            self._answer(HTTPStatus.NOT_FOUND)
        else:
            self._answer(HTTPStatus.OK, found)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the document."""
        self.do_GET()

    def do_PUT(self) -> None:
        """Issue a token; what comes through a proxy gets none, and what is further away does not receive it."""
        instance = self._instance()
        if instance is None:
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        text = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds") or ""
        if self.path != TOKEN_PATH:
            self._answer(HTTPStatus.NOT_FOUND)
        elif self.headers.get("X-Forwarded-For"):
            self._answer(HTTPStatus.FORBIDDEN)
        elif not (text.isdecimal() and 1 <= int(text) <= LONGEST_TOKEN):
            self._answer(HTTPStatus.BAD_REQUEST)
        else:
            hops = instance.metadata_options.http_put_response_hop_limit
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(hops))
            token = self.metadata.issue(instance, int(text))
            self._answer(HTTPStatus.OK, token, {"X-Aws-Ec2-Metadata-Token-Ttl-Seconds": text})

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 # the library's name
        """Log nothing."""

    def _instance(self) -> Any:
        """Return the instance that asks; one that is unknown, or has the service disabled, is refused."""
        instance = self.metadata.locate(self.client_address[0])
        if instance is not None and instance.metadata_options.http_endpoint != "disabled":
            return instance
        self._answer(HTTPStatus.FORBIDDEN)
        return None

    def _answer(self, status: HTTPStatus, text: str = "", headers: dict[str, str] | None = None) -> None:
        body = (text or ("" if status is HTTPStatus.OK else f"{status.value} - {status.phrase}\n")).encode(
            errors="surrogateescape"
        )
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
