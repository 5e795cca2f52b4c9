"""Turns what moto does where it has a gap, an exception or a page of HTML, into AWS's errors."""

import functools
import json
import logging
import re
import traceback
from html import unescape
from http import HTTPStatus
from typing import Any
from xml.parsers.expat import ExpatError

from moto.core.exceptions import ServiceException
from moto.core.model import OperationModel

from localcloud.call import Call
from localcloud.problems import Problem, failed
from localcloud.validation import STYLES, Violation, absent, invalid, malformed, refuse

log = logging.getLogger(__name__)

UNPROCESSED = "The embedded cloud cannot process the parameters"
_PLAIN_TYPE = re.compile(r"'?(NoneType|str|int|float|bool|list|dict|bytes|string|indices)'? ")


def problem_of(call: Call, error: Exception) -> Problem:
    """Return what an exception that moto let through is to the client."""
    if isinstance(error, ServiceException):  # raised outside of moto's own handling of it
        return Problem(error.code, 400, error.message)
    refusal = _refusal(call, error)
    if refusal:
        log.warning("%s:%s is refused: %r", call.service, call.action, error)
        return refusal
    log.error("%s:%s failed", call.service, call.action, exc_info=error)
    return failed(call.service, call.protocol, 500)


def _refusal(call: Call, error: Exception) -> Problem | None:
    """Return the client's error for an exception that the request causes."""
    where = f"{call.service}:{call.action}"
    if isinstance(error, NotImplementedError):
        if "filter" in str(error).lower():
            return invalid(call.service, call.protocol, f"The embedded cloud does not emulate this: {error}")
        return absent(call, f"The embedded cloud does not have the action {where}.")
    if isinstance(error, ExpatError):
        return malformed(call.protocol)
    if isinstance(error, KeyError) and error.args and error.args[0] in _members(call.operation):
        # The model has the member as optional, and its user, here or in moto, cannot do without it.
        return STYLES.get(call.service, refuse)(call, [Violation((error.args[0],), None, "not be null")])
    if _blames_the_request(error):
        reason = f"{type(error).__name__}: {error}"
        return invalid(call.service, call.protocol, f"{UNPROCESSED} of {where} ({reason}).")
    return None


def _blames_the_request(error: Exception) -> bool:
    """Return whether moto failed to find what a request names, or to make sense of a value in it.

    moto checks few names before it uses them. What this package's own code fails at is a mistake of its own.
    """
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    whose = next((each for file in reversed(frames) for each in ("localcloud", "moto") if f"/{each}/" in file), "")
    other_type = isinstance(error, (AttributeError, TypeError)) and _PLAIN_TYPE.search(str(error))
    return whose == "moto" and bool(
        other_type or isinstance(error, (LookupError, ValueError, ArithmeticError, StopIteration))
    )


@functools.cache
def _members(operation: OperationModel | None) -> frozenset[str]:
    """Return the names of all members of an action's input, at any depth."""
    names: set[str] = set()
    shapes: list[Any] = [operation.input_shape] if operation and operation.input_shape else []
    seen = set()
    while shapes:
        shape = shapes.pop()
        if shape.name not in seen:
            seen.add(shape.name)
            members = getattr(shape, "members", {})
            names.update(members)
            shapes += [
                *members.values(),
                *(getattr(shape, part) for part in ("member", "value") if hasattr(shape, part)),
            ]
    return frozenset(names)


def problem_in(call: Call, status: int, body: bytes) -> Problem | None:
    """Return what an error response of moto's is to be instead; None when it is AWS's own."""
    if call.method == "HEAD" or _is_shaped(call.protocol, body):
        return None
    code, message = (re.search(rb"<%s>(.*?)</%s>" % (name, name), body, re.DOTALL) for name in (b"Code", b"Message"))
    if code:
        return Problem(code[1].decode(), status, unescape(message[1].decode()) if message else "")
    if status in {404, 405}:
        return absent(call, f"The embedded cloud has nothing for {call.method} {call.path} of {call.service or 's3'}.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s:%s failed: %s", call.service, call.action, body)
        return failed(call.service, call.protocol, status)
    return invalid(call.service, call.protocol, re.sub(r"<[^>]*>", "", body.decode(errors="replace")).strip())


def _is_shaped(protocol: str, body: bytes) -> bool:
    """Return whether an error's body is what clients of the protocol expect."""
    if protocol in {"json", "rest-json"}:
        try:
            parsed: Any = json.loads(body)
        except ValueError:
            return False
        return isinstance(parsed, dict)
    root = {"ec2": b"Response", "query": b"ErrorResponse", "rest-xml": b"Error"}.get(protocol, b"")
    return bool(root) and bool(re.match(rb"\s*(?:<\?xml[^>]*>\s*)?<%s[\s>]" % root, body)) and b"<Code>" in body
