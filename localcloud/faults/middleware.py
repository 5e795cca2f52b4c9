"""What injects faults into the AWS API: it comes before the real application."""

import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from functools import partial
from http import HTTPStatus
from typing import Any

from localcloud.call import Call
from localcloud.problems import Problem, failed, render
from localcloud.requestlog import FIRED

from . import actions
from .models import Fault, Faults
from .responses import LOCK_HELD, throttled

Application = Callable[[Call, Callable[..., Any]], Iterable[bytes]]


class FaultyApi:
    """Answers requests that a fault hits, and passes the others on."""

    def __init__(self, api: Application, faults: Faults, sleep: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._faults = faults
        self._sleep = sleep

    def __call__(self, call: Call, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        if self._faults.is_empty or not call.service:
            return self._api(call, start_response)
        environ: Any = call.environ
        with self._faults.watched() as fired:
            try:
                answer = self._instead(call)
                if answer is None:
                    return self._api(call, start_response)
                status, headers, content = answer
                start_response(status, headers)
                return [content]
            finally:
                environ[FIRED] = ",".join(fired)

    def _instead(self, call: Call) -> tuple[str, list[tuple[str, str]], bytes] | None:
        """Return the answer of the fault that the request meets; None when it is to be answered in earnest."""
        subject = f"{call.service}:{call.action}"
        suits, locks = partial(_suits, call), partial(_locks, call)
        late = self._faults.fire("latency", subject, suits)
        if late:
            self._sleep(late.settings["seconds"])
        unreachable = self._faults.fire("unavailable", subject, suits)
        if unreachable and unreachable.settings["how"] == "reset":
            reset(call.environ.get("werkzeug.socket"))
            raise ConnectionResetError("a fault resets the connection")
        problem: Problem | None = None
        if unreachable:
            problem = failed(call.service, call.protocol, HTTPStatus.SERVICE_UNAVAILABLE)
        elif call.action == "GetObject" and self._holder(locks):
            return "200 OK", [("Content-Type", "application/json")], self._lock_info(call.path)
        elif call.action == "PutObject" and (lock := self._faults.fire("state-lock", call.path, locks)):
            held = lock.settings["how"] == "held"
            problem = LOCK_HELD if held else failed("s3", call.protocol, HTTPStatus.SERVICE_UNAVAILABLE)
        elif self._faults.fire("throttle", subject, suits):
            problem = throttled(call.service, call.protocol)
        elif broken := self._faults.fire("error", subject, suits):
            settings = broken.settings
            problem = failed(call.service, call.protocol, settings["status"], settings.get("code"))
        return render(problem, call.protocol, call.method) if problem else None

    def _holder(self, locks: Callable[[Fault], bool]) -> bool:
        return any(fault.settings["how"] == "held" for fault in self._faults.active("state-lock", locks))

    @staticmethod
    def _lock_info(path: str) -> bytes:
        """Return what Terraform writes into its lock, so that it can report who has it."""
        info = {
            "ID": "00000000-0000-0000-0000-000000000000",
            "Operation": "OperationTypeApply",
            "Info": "a fault of the embedded cloud",
            "Who": "localcloud@faults",
            "Version": "",
            "Created": "2000-01-01T00:00:00Z",
            "Path": path.lstrip("/").removesuffix(".tflock"),
        }
        return json.dumps(info).encode()


def _suits(call: Call, fault: Fault) -> bool:
    """Return whether a fault applies to a request."""
    return actions.matches(fault.settings["action"], call.service, call.action)


def _locks(call: Call, fault: Fault) -> bool:
    """Return whether a request is for an S3 object whose key the fault names."""
    bucket_and_key = call.path.lstrip("/").partition("/")
    return call.service == "s3" and fnmatchcase(bucket_and_key[2], fault.settings["key"])


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
