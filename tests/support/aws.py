"""Clients of AWS that answer from a script.

They are real boto3 and aiobotocore clients under botocore's Stubber: a request or an answer that does not follow
AWS's service model fails the test.
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import SimpleNamespace
from typing import Any

import boto3
from aiobotocore.response import StreamingBody
from aiobotocore.session import get_session
from aiobotocore.stub import AioStubber
from botocore.stub import Stubber

REGION = "eu-west-1"
BUCKET = "rebake-local"
_SESSION = get_session()  # one for all, because it keeps the service models that it has read
CONNECTION: dict[str, Any] = {"aws_conn_id": None, "region_name": REGION}


def tag_list(labels: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in labels.items()]


def object_keys(s3: Any, prefix: str = "") -> list[str]:
    """Return the keys in the environment's bucket."""
    return [found["Key"] for found in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def read_json(s3: Any, key: str) -> Any:
    """Return what an object in the environment's bucket holds."""
    return json.loads(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())


@contextmanager
def stubbed(service: str) -> Iterator[tuple[Any, Stubber]]:
    """Give a boto3 client that answers only from its Stubber's script, which must be used up at the end."""
    client = boto3.client(service, region_name=REGION)  # type: ignore[call-overload]
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


class AsyncScript:
    """Builds what `hook.get_async_conn()` returns: an aiobotocore client that answers only from a script.

    Args:
        service: such as `autoscaling`.
        steps: each `(operation, answer)`; an answer that is an exception's code is raised as a ClientError, one
            that is an exception is raised as it is.
    """

    def __init__(self, service: str, *steps: tuple[str, Any]) -> None:
        self.service = service
        self.steps = list(steps)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def get_async_conn(self, _hook: Any = None) -> Any:
        """Return the context manager that hooks return."""
        return self._client()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        async with _SESSION.create_client(
            self.service, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing"
        ) as client:
            with AioStubber(client) as stubber:
                for operation, answer in self.steps:
                    if isinstance(answer, str):
                        status = 500 if answer == "InternalFailure" else 400
                        stubber.add_client_error(operation, answer, f"{answer} for a test", http_status_code=status)
                    else:
                        stubber.add_response(operation, answer)
                client.meta.events.register_first("before-parameter-build.*", self._note)
                yield client
                stubber.assert_no_pending_responses()

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.asked.append((model.name, dict(params)))


class Body(StreamingBody):  # type: ignore[misc]
    """A body as aiobotocore hands it over, from memory."""

    def __init__(self, text: bytes) -> None:
        super().__init__(SimpleNamespace(), None)
        self._text = text

    async def read(self, amt: int | None = None) -> bytes:
        return self._text
