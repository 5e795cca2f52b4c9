"""Which failed calls to AWS are retried, for how long, and which are no failure.

The clients retry a few times by themselves. A task outlives more than that: `retry_transient` retries a call for two
minutes, and a loop that waits for hours asks `is_transient` and goes on until its own deadline.
"""

import logging
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar, cast

import tenacity
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

SERVER_ERRORS: Final = frozenset({
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "InternalServerException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "Unavailable",
})  # fmt: skip
"""The codes with which AWS says that it failed itself, for where only the code is known."""

RETRY_SECONDS: Final = 120.0
"""How long the pauses of `retry_transient` may be together."""

_GONE: Final = frozenset({
    "InvalidAMIID.NotFound",
    "InvalidAMIID.Unavailable",
    "InvalidGroup.NotFound",
    "InvalidGroupId.NotFound",
    "InvalidInstanceID.NotFound",
    "InvalidKeyPair.NotFound",
    "InvalidSnapshot.NotFound",
    "InvalidVolume.NotFound",
})  # fmt: skip

_SERVER_ERROR: Final = 500
_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

log = logging.getLogger(__name__)


def error_code(error: BaseException) -> str:
    """Return the AWS error code of `error`, or an empty string when it is not AWS's answer."""
    if not isinstance(error, ClientError):
        return ""
    return str(cast("dict[str, Any]", error.response).get("Error", {}).get("Code", ""))


def is_transient(error: BaseException) -> bool:
    """Return whether a retry can help: AWS throttles, fails itself, or was not reached at all."""
    if isinstance(error, (HTTPClientError, BotoConnectionError, OSError)):
        # OSError covers Python's own ConnectionError and TimeoutError, which asyncio raises as they are.
        return True
    if not isinstance(error, ClientError):
        return False
    status = cast("dict[str, Any]", error.response).get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return error_code(error) in TRANSIENT_CODES or status >= _SERVER_ERROR


def _log_pause(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.info("AWS throttles or fails, retrying in %.0f s: %s", state.upcoming_sleep, error)


def retry_transient(call: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Decorate a function whose calls to AWS may be repeated: retry it while AWS throttles or fails itself.

    It pauses for 1, 2, 4, 8 and then 10 seconds, `RETRY_SECONDS` in all. Connection errors are not retried here: see
    `rebake.stages.tooling.reachable`. Decorate one function of a chain, or the retries multiply.
    """
    return tenacity.retry(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, ClientError) and is_transient(error)),
        wait=tenacity.wait_exponential(max=10),
        stop=lambda state: state.idle_for >= RETRY_SECONDS,
        before_sleep=_log_pause,
        reraise=True,
    )(call)


def deleted(delete: Callable[[], object]) -> bool:
    """Call `delete`; return False where EC2 answers that the resource does not exist any more."""
    try:
        delete()
    except ClientError as error:
        if error_code(error) in _GONE:
            return False
        raise
    return True
