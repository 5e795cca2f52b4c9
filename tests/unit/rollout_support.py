"""What the tests of the rollout share: a task's context, and clients that answer from a script.

The scripted clients are real boto3 and aiobotocore clients under botocore's Stubber: a request or an answer that
does not follow AWS's service model fails the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
from aiobotocore.session import get_session
from aiobotocore.stub import AioStubber
from airflow.triggers.base import BaseTrigger
from botocore.stub import Stubber

REGION = "eu-west-1"
BUCKET = "rebake-local"
RUN_ID = "manual__2026-11-23T18:30:12+00:00"
DAG_ID = "deploy_webapp"
RUN_TAG = f"{DAG_ID}/{RUN_ID}"
REQUESTED_AT = datetime(2026, 11, 23, 18, 30, 12, 345678, tzinfo=UTC)
GROUP = "webapp-local"
AMI = "ami-0123456789abcdef0"
TEMPLATE = "lt-0123456789abcdef0"
_SESSION = get_session()  # one for all, because it keeps the service models that it has read
CONNECTION: dict[str, Any] = {"aws_conn_id": None, "region_name": REGION}


class FakeTaskInstance:
    """The few things that operators ask of a task instance."""

    def __init__(self, try_number: int = 1) -> None:
        self.dag_id = DAG_ID
        self.run_id = RUN_ID
        self.task_id = "stage"
        self.try_number = try_number
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep what is pushed, for the test to look at."""
        self.pushed[key] = value


def context(try_number: int = 1, user: str | None = "ada") -> Any:
    """Return the context of a task of the run `RUN_ID`."""
    run = SimpleNamespace(dag_id=DAG_ID, run_id=RUN_ID, run_after=REQUESTED_AT, triggering_user_name=user)
    return {"ti": FakeTaskInstance(try_number), "dag_run": run, "outlet_events": {}}


def told(entry: Mapping[str, Any]) -> str:
    """Return the line that a log entry captured by structlog comes to."""
    arguments = entry.get("positional_args", ())
    return str(entry["event"]) % arguments if arguments else str(entry["event"])


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


def run_trigger(trigger: BaseTrigger) -> dict[str, Any]:
    """Return the payload of the one event that a trigger yields."""

    async def first() -> Any:
        events = [event async for event in trigger.run()]
        assert len(events) == 1
        return events[0].payload

    payload: dict[str, Any] = asyncio.run(first())
    return payload


def refresh(
    status: str, *, refresh_id: str = "r-1", version: str = "2", percentage: int = 0, **more: Any
) -> dict[str, Any]:
    """Return a record of DescribeInstanceRefreshes."""
    return {
        "InstanceRefreshId": refresh_id,
        "AutoScalingGroupName": GROUP,
        "Status": status,
        "PercentageComplete": percentage,
        "DesiredConfiguration": {"LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "Version": version}},
        **more,
    }


def instance(instance_id: str, version: str, lifecycle: str = "InService", health: str = "Healthy") -> dict[str, Any]:
    """Return an instance of DescribeAutoScalingGroups."""
    return {
        "InstanceId": instance_id,
        "AvailabilityZone": "eu-west-1a",
        "LifecycleState": lifecycle,
        "HealthStatus": health,
        "ProtectedFromScaleIn": False,
        "LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "LaunchTemplateName": GROUP, "Version": version},
    }


def group(
    version: str, *instances: dict[str, Any], desired: int = 2, target_groups: tuple[str, ...] = ("arn:tg",)
) -> Any:
    """Return a group of DescribeAutoScalingGroups."""
    return {
        "AutoScalingGroupName": GROUP,
        "LaunchTemplate": {"LaunchTemplateId": TEMPLATE, "LaunchTemplateName": GROUP, "Version": version},
        "MinSize": 1,
        "MaxSize": 4,
        "DesiredCapacity": desired,
        "DefaultCooldown": 300,
        "AvailabilityZones": ["eu-west-1a"],
        "HealthCheckType": "ELB",
        "CreatedTime": REQUESTED_AT,
        "TargetGroupARNs": list(target_groups),
        "Instances": list(instances),
    }


def targets(**states: str) -> dict[str, Any]:
    """Return an answer of DescribeTargetHealth; `i_1="healthy"` stands for instance i-1."""
    return {
        "TargetHealthDescriptions": [
            {
                "Target": {"Id": name.replace("_", "-"), "Port": 8080},
                "TargetHealth": {"State": state.split(":")[0], **_reason(state)},
            }
            for name, state in states.items()
        ]
    }


def _reason(state: str) -> dict[str, str]:
    _, _, reason = state.partition(":")
    return {"Reason": reason} if reason else {}
