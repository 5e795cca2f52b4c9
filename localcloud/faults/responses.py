"""The errors that faults inject, and the admin endpoint.

Codes and statuses: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the Common Errors of each other service.
"""

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from localcloud.problems import Problem

from .exceptions import FaultError, UnknownFaultError
from .models import Faults

RATE_EXCEEDED = "Rate exceeded"
LOCK_HELD = Problem(
    "PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"
)  # what S3 answers to If-None-Match: * when the key exists


def throttled(service: str, protocol: str) -> Problem:
    """Return the service's throttling error."""
    if service == "ec2":
        return Problem("RequestLimitExceeded", 503, "Request limit exceeded.")
    if service == "s3":
        return Problem("SlowDown", 503, "Please reduce your request rate.")
    return Problem("Throttling" if protocol == "query" else "ThrottlingException", 400, RATE_EXCEEDED)


def administer(faults: Faults, method: str, query: str, body: bytes) -> tuple[HTTPStatus, Any]:
    """Answer a request to the admin endpoint: list, make or remove faults.

    Returns:
        The status, and what to answer as JSON; None for no body.
    """
    if method == "GET":
        return HTTPStatus.OK, faults.describe()
    try:
        if method == "DELETE":
            faults.remove(parse_qs(query).get("id", [None])[0])
            return HTTPStatus.NO_CONTENT, None
        return HTTPStatus.CREATED, faults.add(json.loads(body or b"null"))
    except UnknownFaultError as error:
        return HTTPStatus.NOT_FOUND, {"error": str(error)}
    except FaultError as error:
        return HTTPStatus.BAD_REQUEST, {"error": str(error)}
    except ValueError as error:
        return HTTPStatus.BAD_REQUEST, {"error": f"the body is not JSON: {error}"}
