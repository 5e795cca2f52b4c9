"""Error responses in each of AWS's protocols.

Codes and statuses: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the Common Errors of each other service.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from xml.sax.saxutils import escape

UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot express."""


@dataclass(frozen=True)
class Problem:
    """An error response of AWS."""

    code: str
    status: int
    message: str


INTERNAL = "We encountered an internal error. Please try again."
UNAVAILABLE = "The request has failed due to a temporary failure of the server."


def failed(service: str, protocol: str, status: int, code: str | None = None) -> Problem:
    """Return the service's internal error."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Problem(code or ("Unavailable" if service == "ec2" else "ServiceUnavailable"), status, UNAVAILABLE)
    if code is None:
        code = "InternalError" if service in {"ec2", "s3"} else "InternalFailure"
        code = code if protocol in {"ec2", "query", "rest-xml"} else "InternalServerError"
    return Problem(code, status, INTERNAL)


def protocol_of(service: str, environ: Mapping[str, Any]) -> str:
    """Return the AWS protocol that a request is made in."""
    if "HTTP_SMITHY_PROTOCOL" in environ:
        return "cbor"
    if "HTTP_X_AMZ_TARGET" in environ:
        return "json"
    return {"s3": "rest-xml", "ec2": "ec2"}.get(service, "query")


_ENVELOPES = {
    "ec2": "<Response><Errors><Error>{error}</Error></Errors><RequestID>{identity}</RequestID></Response>",
    "query": (
        "<ErrorResponse><Error><Type>{blames}</Type>{error}</Error><RequestId>{identity}</RequestId></ErrorResponse>"
    ),
    "rest-xml": "<Error>{error}<RequestId>{identity}</RequestId></Error>",
}


def render(problem: Problem, protocol: str, method: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status line, headers and body of an error."""
    identity = str(uuid.uuid4())
    headers = [("x-amz-request-id" if protocol == "rest-xml" else "x-amzn-RequestId", identity)]
    if protocol in _ENVELOPES:
        content_type = "application/xml" if protocol == "rest-xml" else "text/xml;charset=UTF-8"
        text = escape(UNPRINTABLE.sub("?", problem.message))
        error = f"<Code>{escape(problem.code)}</Code><Message>{text}</Message>"
        blames = "Receiver" if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"
        envelope = _ENVELOPES[protocol].format(error=error, identity=identity, blames=blames)
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{envelope}'.encode()
    elif protocol == "cbor":
        content_type = "application/cbor"
        headers.append(("smithy-protocol", "rpc-v2-cbor"))
        texts = ("__type", problem.code, "message", problem.message)
        body = b"\xa2" + b"".join(_cbor(text) for text in texts)
    else:
        headers.append(("x-amzn-ErrorType", problem.code))
        content_type = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
        body = json.dumps({"__type": problem.code, "message": problem.message}).encode()
    body = b"" if method == "HEAD" else body
    headers += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    known = problem.status in HTTPStatus.__members__.values()
    return f"{problem.status} {HTTPStatus(problem.status).phrase if known else 'Unknown'}", headers, body


def _cbor(text: str) -> bytes:
    """Return a text of fewer than 256 bytes in CBOR: its major type, its length in one byte, itself."""
    encoded = text.encode()[:255]
    return bytes((0x78, len(encoded))) + encoded
