"""The trigger that waits until a lease is released, is void or has another holder."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rebake.hooks.lease import LeaseHook
from rebake.release import lease
from rebake.release.lease import RunKind
from rebake.triggers.lease import LeaseTrigger
from tests.support.aws import BUCKET, CONNECTION, AsyncScript, Body
from tests.support.task import run_trigger

SPAN = timedelta(hours=2)


def _trigger(deadline: float) -> LeaseTrigger:
    return LeaseTrigger(bucket=BUCKET, service="webapp", token=1, deadline=deadline, poll_seconds=0.001, **CONNECTION)


def _object(*, released_at: bool, token: int = 1) -> tuple[str, dict[str, Any]]:
    now = datetime.now(UTC)
    times = {"requested_at": now, "since": now, "until": now + SPAN, "released_at": now if released_at else None}
    one = lease.Lease(holder="deploy_webapp/a", kind=RunKind.DEPLOY, token=token, **times)
    return "get_object", {"Body": Body(one.model_dump_json().encode()), "ETag": '"1"'}


FAR = datetime.now(UTC).timestamp() + 3600


@pytest.mark.parametrize(
    ("steps", "deadline"),
    [
        pytest.param(
            [_object(released_at=False), ("get_object", "SlowDown"), _object(released_at=True)], FAR, id="released"
        ),
        pytest.param([_object(released_at=False, token=2)], FAR, id="another one"),
        pytest.param([_object(released_at=False)], 0, id="void"),
    ],
)
def test_the_wait_ends_when_the_lease_does(monkeypatch: pytest.MonkeyPatch, steps: list[Any], deadline: float) -> None:
    script = AsyncScript("s3", *steps)
    monkeypatch.setattr(LeaseHook, "get_async_conn", script.get_async_conn)

    assert run_trigger(_trigger(deadline)) == {"token": 1}
    assert len(script.asked) == len(steps)


def test_an_error_that_will_not_pass_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    script = AsyncScript("s3", ("get_object", "AccessDenied"))
    monkeypatch.setattr(LeaseHook, "get_async_conn", script.get_async_conn)

    with pytest.raises(Exception, match="AccessDenied"):
        run_trigger(_trigger(FAR))
