"""A bounded log of API requests: who called which action. Policies and tests are checked against it."""

import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote_plus

from moto.core.request import Request
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException

CAPACITY = 20_000
FIRED = "localcloud.faults"
"""Where the environ of a request lists the faults it met."""
MISSING = "localcloud.missing"
"""Where the environ of a request that was not authorized has the statement that would have allowed it."""
ARRIVED = "localcloud.arrived"
"""Where the environ of a request has a copy of itself and the body, as both arrived: what the client has signed."""
CHUNKED = "HTTP_TRANSFER_ENCODING"
_ACTION = re.compile(rb"(?:^|&)Action=([^&]+)")
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d+/([^/,\s]+)/([^/,\s]+)/")


@dataclass(frozen=True)
class Entry:
    """One request: seconds since the epoch, AWS's names of service and action, the access key id, HTTP status.

    `fault` names the faults that it met, with commas between; a status of 0 is a connection that was reset.
    `missing` is the statement without which it was refused, with `--enforce-iam`.
    """

    time: float
    service: str
    action: str
    principal: str
    status: int
    fault: str = ""
    missing: str = ""


class Scope(NamedTuple):
    """What a request is signed for, and by whom: the service's signing name, the region, and the access key id."""

    service: str = ""
    region: str = ""
    access_key: str = ""


class RequestLog:
    """Keeps the newest CAPACITY requests."""

    def __init__(self, clock: Callable[[], float] = time.time, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=capacity)

    def record(self, scope: Scope, action: str, status: int, environ: Mapping[str, Any]) -> None:
        """Add a request."""
        noted = environ.get(FIRED, ""), environ.get(MISSING, "")
        self._entries.append(Entry(round(self._clock(), 3), scope.service, action, scope.access_key, status, *noted))

    def since(self, moment: float) -> list[dict[str, Any]]:
        """Return the requests later than that moment (seconds since the epoch), oldest first."""
        return [asdict(entry) for entry in self._entries.copy() if entry.time > moment]

    def clear(self) -> None:
        """Remove every entry."""
        self._entries.clear()


def scope_of(environ: Mapping[str, Any]) -> Scope:
    """Return the scope of a request's signature (header or query); blanks when it has none."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    signature = environ.get("HTTP_AUTHORIZATION", "") or f"Credential={query.get('X-Amz-Credential', [''])[0]}"
    found = _CREDENTIAL.search(signature)
    return Scope(found[3], found[2], found[1]) if found else Scope()


def name_action(service: str, environ: Mapping[str, Any], body: bytes) -> str:
    """Return the AWS action of a request: the `Action`, the JSON target, or for S3 the operation."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if target:
        return str(target).rpartition(".")[2]
    if "HTTP_SMITHY_PROTOCOL" in environ:
        return str(environ.get("PATH_INFO", "")).rpartition("/")[2]
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        found = _ACTION.search(body)
        if found:
            return unquote_plus(found[1].decode(errors="replace"))
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    if "Action" in query:
        return query["Action"][0]
    operation = _s3_operation(environ) if service == "s3" else None
    return operation or f"{environ.get('REQUEST_METHOD', 'GET')} {environ.get('PATH_INFO', '/')}"


def _s3_operation(environ: Mapping[str, Any]) -> str | None:
    with suppress(HTTPException):
        return get_service_router("s3").match(Request(dict(environ)))[0].name
    return None


def read_body(environ: Mapping[str, Any]) -> Iterable[bytes]:
    """Yield the request's body as the client sends it, as far as its length is announced, or its chunks."""
    if CHUNKED in environ:
        with suppress(OSError):  # a chunk that is broken
            yield environ["wsgi.input"].read()
        return
    length = environ.get("CONTENT_LENGTH") or ""
    remaining = int(length) if length.isdecimal() else 0
    while remaining > 0:
        chunk = environ["wsgi.input"].read(min(remaining, 1 << 20))
        if not chunk:
            return
        remaining -= len(chunk)
        yield chunk
