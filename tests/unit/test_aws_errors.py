"""Which failures are worth asking again after."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.retries.standard import ThrottledRetryableChecker

from rebake.aws_errors import THROTTLING_CODES, error_code, is_transient, persist


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
def test_what_may_pass_is_worth_asking_again(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [_error("AccessDenied", 403), _error("ValidationError"), NoCredentialsError(), ValueError(), KeyError()],
    ids=repr,
)
def test_what_stays_wrong_is_not(error: Exception) -> None:
    assert not is_transient(error)


def test_the_throttling_codes_are_those_of_botocore() -> None:
    """So that a code that botocore learns about is not missed here."""
    assert set(vars(ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"]) == THROTTLING_CODES


def test_only_an_answer_of_aws_has_a_code() -> None:
    assert error_code(_error("Throttling")) == "Throttling"
    assert error_code(ValueError("Throttling")) == ""


def test_a_call_is_repeated_while_aws_throttles_or_stumbles() -> None:
    answers: list[Any] = [_error("Throttling"), _error("InternalFailure", 500), "done"]
    pauses: list[float] = []

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, ClientError):
            raise answer
        return str(answer)

    assert persist(call, sleep=pauses.append) == "done"
    assert pauses == [1.0, 2.0]


def test_a_refusal_is_not_repeated() -> None:
    pauses: list[float] = []

    def call() -> None:
        raise _error("AccessDenied", 403)

    with pytest.raises(ClientError, match="AccessDenied"):
        persist(call, sleep=pauses.append)
    assert pauses == []


def test_throttling_without_end_is_an_error_in_the_end() -> None:
    pauses: list[float] = []

    def call() -> None:
        raise _error("Throttling")

    with pytest.raises(ClientError, match="Throttling"):
        persist(call, seconds=30, sleep=pauses.append)
    assert 30 <= sum(pauses) < 45
