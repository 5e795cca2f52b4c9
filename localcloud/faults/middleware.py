"""WSGI middleware that injects faults into the AWS API."""

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

from localcloud.problems import Problem, failed, protocol_of, render
from localcloud.requestlog import FIRED, name_action, scope_of

from . import actions
from .models import Fault, Faults
from .responses import LOCK_HELD, throttled

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@dataclass(frozen=True)
class Request:
    """An API request."""

    service: str
    action: str
    protocol: str
    method: str
    path: str

    def suits(self, fault: Fault) -> bool:
        """Return whether a fault applies to it."""
        return actions.matches(fault.settings["action"], self.service, self.action)

    def locks(self, fault: Fault) -> bool:
        """Return whether it is for an S3 object whose key the fault names."""
        bucket_and_key = self.path.lstrip("/").partition("/")
        return self.service == "s3" and fnmatchcase(bucket_and_key[2], fault.settings["key"])


class FaultyApi:
    """Answers requests that a fault hits, and passes the others on.

    Args:
        api: The real application.
        faults: The cloud's.
        sleep: Waits; seconds.
    """

    def __init__(self, api: Application, faults: Faults, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._faults = faults
        self._sleep = sleep

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request, whose body can be read again from the start."""
        service = "" if self._faults.is_empty else scope_of(environ).service
        if not service:
            return self._api(environ, start_response)
        body = b""
        if environ.get("CONTENT_LENGTH"):
            body = environ["wsgi.input"].read()
            environ["wsgi.input"].seek(0)
        request = Request(
            service=service,
            action=name_action(service, environ, body),
            protocol=protocol_of(service, environ),
            method=environ["REQUEST_METHOD"],
            path=environ.get("PATH_INFO", "/"),
        )
        with self._faults.watched() as fired:
            try:
                answer = self._instead(request, environ)
                if answer is None:
                    return self._api(environ, start_response)
                status, headers, content = answer
                start_response(status, headers)
                return [content]
            finally:
                environ[FIRED] = ",".join(fired)

    def _instead(self, request: Request, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
        """Return the answer of the fault that the request meets; None when it is to be answered in earnest."""
        subject = f"{request.service}:{request.action}"
        late = self._faults.fire("latency", subject, request.suits)
        if late:
            self._sleep(late.settings["seconds"])
        unreachable = self._faults.fire("unavailable", subject, request.suits)
        if unreachable and unreachable.settings["how"] == "reset":
            reset(environ.get("werkzeug.socket"))
            raise ConnectionResetError("a fault resets the connection")
        problem: Problem | None = None
        if unreachable:
            problem = failed(request.service, request.protocol, HTTPStatus.SERVICE_UNAVAILABLE)
        elif request.action == "GetObject" and self._holder(request):
            return "200 OK", [("Content-Type", "application/json")], self._lock_info(request)
        elif request.action == "PutObject" and (lock := self._faults.fire("state-lock", request.path, request.locks)):
            held = lock.settings["how"] == "held"
            problem = LOCK_HELD if held else failed("s3", request.protocol, HTTPStatus.SERVICE_UNAVAILABLE)
        elif self._faults.fire("throttle", subject, request.suits):
            problem = throttled(request.service, request.protocol)
        elif broken := self._faults.fire("error", subject, request.suits):
            settings = broken.settings
            problem = failed(request.service, request.protocol, settings["status"], settings.get("code"))
        return render(problem, request.protocol, request.method) if problem else None

    def _holder(self, request: Request) -> bool:
        return any(fault.settings["how"] == "held" for fault in self._faults.active("state-lock", request.locks))

    @staticmethod
    def _lock_info(request: Request) -> bytes:
        """Return what Terraform writes into its lock, so that it can report who has it."""
        info = {
            "ID": "00000000-0000-0000-0000-000000000000",
            "Operation": "OperationTypeApply",
            "Info": "a fault of the embedded cloud",
            "Who": "localcloud@faults",
            "Version": "",
            "Created": "2000-01-01T00:00:00Z",
            "Path": request.path.lstrip("/").removesuffix(".tflock"),
        }
        return json.dumps(info).encode()


def reset(connection: socket.socket | None) -> None:
    """Reset a TCP connection; the server that holds it sees its client close it."""
    if connection is None:
        return
    # Closing with unsent data forbidden makes the kernel send a reset. The server still has the socket's number, so
    # something that is closed at the other end replaces it.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    left, right = socket.socketpair()
    right.close()
    os.dup2(left.fileno(), connection.fileno())
    left.close()
