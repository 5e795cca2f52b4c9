"""Which failed calls are retried, and for how long."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.retries.standard import ThrottledRetryableChecker

from rebake.aws_errors import THROTTLING_CODES, deleted, error_code, is_transient, retry_transient


def _error(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]
        "Operation",
    )


@pytest.mark.parametrize(
    "error",
    [
        _error("Throttling"),
        _error("RequestLimitExceeded", 503),
        _error("ResourceContention", 500),
        _error("SomethingNew", 500),
        EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
        ReadTimeoutError(endpoint_url="http://127.0.0.1:1"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=repr,
)
def test_a_failure_that_may_pass_is_transient(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [_error("AccessDenied", 403), _error("ValidationError"), NoCredentialsError(), ValueError(), KeyError()],
    ids=repr,
)
def test_a_refusal_is_not_transient(error: Exception) -> None:
    assert not is_transient(error)


def test_the_throttling_codes_are_those_of_botocore() -> None:
    """So that a code that botocore learns about is not missed here."""
    assert set(vars(ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"]) == THROTTLING_CODES


def test_only_an_answer_of_aws_has_a_code() -> None:
    assert error_code(_error("Throttling")) == "Throttling"
    assert error_code(ValueError("Throttling")) == ""


@retry_transient
def _call(answers: list[Any]) -> str:
    answer = answers.pop(0)
    if isinstance(answer, Exception):
        raise answer
    return str(answer)


def test_a_call_is_retried_while_aws_throttles_or_fails(pauses: list[float]) -> None:
    assert _call([_error("Throttling"), _error("InternalFailure", 500), "done"]) == "done"
    assert pauses == [1.0, 2.0]


@pytest.mark.parametrize(
    "error", [_error("AccessDenied", 403), EndpointConnectionError(endpoint_url="http://127.0.0.1:1")], ids=repr
)
def test_a_refusal_and_a_lost_connection_are_not_retried(error: Exception, pauses: list[float]) -> None:
    with pytest.raises(type(error)):
        _call([error, "done"])
    assert pauses == []


def test_throttling_without_end_is_an_error_after_two_minutes(pauses: list[float]) -> None:
    with pytest.raises(ClientError, match="Throttling"):
        _call([_error("Throttling")] * 30)

    assert pauses[:6] == [1, 2, 4, 8, 10, 10]
    assert 120 <= sum(pauses) < 130


@pytest.mark.parametrize(("code", "expected"), [("InvalidVolume.NotFound", False), ("", True)])
def test_a_resource_that_is_gone_already_is_no_error(code: str, expected: bool) -> None:
    assert deleted(lambda: _call([_error(code) if code else "done"])) is expected


def test_a_deletion_that_aws_refuses_is_an_error() -> None:
    with pytest.raises(ClientError, match="VolumeInUse"):
        deleted(lambda: _call([_error("VolumeInUse")]))
