"""Which failed calls are worth asking again: throttling, AWS's own faults, and a connection that broke.

The clients retry a few times by themselves. A wait of minutes or hours has to outlive more than that, so
every loop that waits asks here and goes on until its own deadline.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError

THROTTLING_CODES: Final = frozenset({
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
})  # fmt: skip
"""The error codes that botocore's standard retry mode counts as throttling."""

TRANSIENT_CODES: Final = THROTTLING_CODES | {"RequestTimeout", "RequestTimeoutException", "ResourceContention"}

PERSISTENCE: Final = 120.0
"""Seconds for which `persist` asks again."""

_SERVER_ERROR: Final = 500
_LONGEST_PAUSE: Final = 10.0
_Result = TypeVar("_Result")

log = logging.getLogger(__name__)


def error_code(error: BaseException) -> str:
    """Return the AWS error code of `error`, or an empty string when it is not AWS's answer."""
    if not isinstance(error, ClientError):
        return ""
    return str(cast("dict[str, Any]", error.response).get("Error", {}).get("Code", ""))


def is_transient(error: BaseException) -> bool:
    """Return whether asking again can help: AWS throttles or stumbles, or it was not reached at all."""
    if isinstance(error, (HTTPClientError, BotoConnectionError, OSError)):
        # OSError covers Python's own ConnectionError and TimeoutError, which asyncio raises as they are.
        return True
    if not isinstance(error, ClientError):
        return False
    status = cast("dict[str, Any]", error.response).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error_code(error) in TRANSIENT_CODES or status >= _SERVER_ERROR


def persist(
    call: Callable[[], _Result], *, seconds: float = PERSISTENCE, sleep: Callable[[float], None] = time.sleep
) -> _Result:
    """Return what `call` returns, asked again with growing pauses while AWS only throttles or stumbles.

    For a call that may be repeated. That nothing listens at the address is not put up with here: see `reachable`.

    Args:
        call: one request, or several.
        seconds: how long the pauses may be together.
        sleep: how to pause; tests replace it.
    """
    waited, pause = 0.0, 1.0
    while True:
        try:
            return call()
        except ClientError as error:
            if not is_transient(error) or waited >= seconds:
                raise
            log.info("AWS does not answer, asking again in %.0f s: %s", pause, error)
        sleep(pause)
        waited, pause = waited + pause, min(pause * 2, _LONGEST_PAUSE)
