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


def render(problem: Problem, protocol: str, method: str) -> tuple[str, list[tuple[str, str]], bytes]:
    """Return status line, headers and body of an error."""
    identity = str(uuid.uuid4())
    code, message = escape(problem.code), escape(UNPRINTABLE.sub("?", problem.message))
    headers = [("x-amzn-RequestId", identity)]
    content_type = "text/xml;charset=UTF-8"
    if protocol == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{identity}</RequestID></Response>"
        ).encode()
    elif protocol == "rest-xml":
        content_type = "application/xml"
        headers = [("x-amz-request-id", identity)]
        body = (
            f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{identity}</RequestId></Error>"
        ).encode()
    elif protocol == "query":
        blames = "Receiver" if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Sender"
        body = (
            f"<ErrorResponse><Error><Type>{blames}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{identity}</RequestId></ErrorResponse>"
        ).encode()
    elif protocol == "cbor":
        content_type = "application/cbor"
        headers.append(("smithy-protocol", "rpc-v2-cbor"))
        texts = ("__type", problem.code, "message", problem.message)
        body = b"\xa2" + b"".join(_cbor(text) for text in texts)
    else:
        headers.append(("x-amzn-ErrorType", problem.code))
        content_type = "application/x-amz-json-1.1" if protocol == "json" else "application/json"
        body = json.dumps({"__type": problem.code, "message": problem.message}).encode()
    if protocol.endswith("xml") or protocol in {"ec2", "query"}:
        body = b'<?xml version="1.0" encoding="UTF-8"?>\n' + body
    if method == "HEAD":
        body = b""
    headers += [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    return _status_line(problem.status), headers, body


def _cbor(text: str) -> bytes:
    """Return a text of fewer than 256 bytes in CBOR: its major type, its length in one byte, itself."""
    encoded = text.encode()[:255]
    return bytes((0x78, len(encoded))) + encoded


def _status_line(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
