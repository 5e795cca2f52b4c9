"""A bounded log of API requests: who called which action. Policies and tests are checked against it."""

import functools
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote_plus

from botocore.loaders import Loader
from botocore.model import ServiceModel

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
        """Add a request.

        Args:
            scope: What it is signed for, and by whom.
            action: AWS's name of the action.
            status: The HTTP status of its response.
            environ: The WSGI environment, with what the way to the response has noted in it.
        """
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
    method, path = environ.get("REQUEST_METHOD", "GET"), environ.get("PATH_INFO", "/")
    if service == "s3":
        return _s3_operation(method, path, set(query), "HTTP_X_AMZ_COPY_SOURCE" in environ)
    return f"{method} {path}"


def _s3_operation(method: str, path: str, query: set[str], copies: bool) -> str:
    depth = min(len([part for part in path.split("/", 2) if part]), 2)
    candidates = [
        (len(keys), name)
        for name, verb, parts, keys, copying in _s3_operations()
        if verb == method and parts == depth and keys <= query and copying == copies
    ]
    # The most specific wins: `?versioning` beats the bare bucket.
    best = max((count for count, _ in candidates), default=0)
    return next((name for count, name in candidates if count == best), f"{method} {path}")


@functools.cache
def _s3_operations() -> list[tuple[str, str, int, frozenset[str], bool]]:
    """Each S3 operation with its method, depth of path, the query keys that mark it, and whether it copies."""
    # A loader of its own: a client of S3 takes the bucket out of the paths of the model that its session has loaded.
    model = ServiceModel(Loader().load_service_model("s3", "service-2"))
    operations = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        path, _, marks = operation.http["requestUri"].partition("?")
        keys = {key for key in parse_qs(marks, keep_blank_values=True) if key != "x-id"}
        members = operation.input_shape.members if operation.input_shape else {}
        for required in operation.input_shape.required_members if operation.input_shape else ():
            if members[required].serialization.get("location") == "querystring":
                keys.add(members[required].serialization["name"])
        depth = len([part for part in path.split("/") if part])
        operations.append((name, operation.http["method"], depth, frozenset(keys), "CopySource" in members))
    # An older and a newer operation may be alike on the wire: the older one's name is the IAM action.
    return sorted(operations, key=lambda entry: (-len(entry[3]), len(entry[0]), entry[0]))


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
