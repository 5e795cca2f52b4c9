"""The lease: one run at a time may change a service, the last word counts, and S3 decides between two writers."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rebake.exceptions import ConfigError, SupersededError
from rebake.release import lease
from rebake.release.lease import LeaseRequest, RunKind
from tests.support.aws import BUCKET, AsyncScript, Body
from tests.support.releases import acquire_lease, lease_now

NOW = datetime(2026, 11, 23, 20, tzinfo=UTC)
SPAN = timedelta(hours=2)


def _request(name: str, minute: int = 0) -> LeaseRequest:
    """Return the request of a run such as `deploy_webapp/a`, made so many minutes after NOW."""
    kind = RunKind.ROLLBACK if name.startswith("rollback") else RunKind.DEPLOY
    return LeaseRequest(name, kind, NOW + timedelta(minutes=minute), SPAN)


def _acquire(s3: Any, name: str, minute: int = 0, after: timedelta = timedelta(0)) -> lease.Lease | None:
    return lease.acquire(s3, BUCKET, "webapp", _request(name, minute), now=NOW + after)


DEPLOY, SECOND, ROLLBACK = "deploy_webapp/a", "deploy_webapp/b", "rollback_webapp/c"


def test_the_first_run_gets_the_lease_and_the_object_says_whose_it_is(s3: Any) -> None:
    taken = _acquire(s3, DEPLOY)

    assert taken is not None
    assert (taken.holder, taken.kind, taken.token, taken.since) == (DEPLOY, RunKind.DEPLOY, 1, NOW)
    assert lease.read(s3, BUCKET, "webapp") == taken


def test_a_second_deployment_waits_until_the_first_releases_the_lease(s3: Any) -> None:
    acquire_lease(s3, DEPLOY)
    assert acquire_lease(s3, SECOND, 1) is None

    assert lease.release(s3, BUCKET, "webapp", DEPLOY)
    taken = acquire_lease(s3, SECOND, 1)

    assert taken is not None
    assert (taken.holder, taken.token) == (SECOND, 2)


def test_services_do_not_wait_for_each_other(s3: Any) -> None:
    _acquire(s3, DEPLOY)

    assert lease.acquire(s3, BUCKET, "shop", _request("deploy_shop/a"), now=NOW) is not None


def test_a_retry_keeps_its_own_lease_and_its_number(s3: Any) -> None:
    _acquire(s3, DEPLOY)

    again = _acquire(s3, DEPLOY, after=timedelta(minutes=30))

    assert again is not None
    assert (again.holder, again.token, again.since) == (DEPLOY, 1, NOW)
    assert again.until == NOW + timedelta(minutes=30) + SPAN


def test_a_rollback_takes_the_lease_from_a_deployment_at_once(s3: Any) -> None:
    acquire_lease(s3, DEPLOY)

    taken = acquire_lease(s3, ROLLBACK, 1)

    assert taken is not None
    assert taken.holder == ROLLBACK
    with pytest.raises(SupersededError, match=f"superseded by {ROLLBACK} \\(rollback\\), since ") as caught:
        lease.check(s3, BUCKET, "webapp", DEPLOY)
    assert caught.value.by == ROLLBACK


@pytest.mark.parametrize(("is_over", "said"), [(False, "holds the lease"), (True, "has held the lease")])
def test_a_deployment_that_was_requested_before_the_rollback_is_superseded(s3: Any, is_over: bool, said: str) -> None:
    """It was still baking when the rollback came: the last word counts."""
    acquire_lease(s3, ROLLBACK, 1)
    if is_over:
        lease.release(s3, BUCKET, "webapp", ROLLBACK)

    with pytest.raises(SupersededError, match=f"{ROLLBACK}, which was requested later, {said}: "):
        acquire_lease(s3, DEPLOY)


def test_clearing_yesterdays_rollback_does_not_undo_todays_deployment(s3: Any) -> None:
    acquire_lease(s3, DEPLOY, 1)
    lease.release(s3, BUCKET, "webapp", DEPLOY)

    with pytest.raises(SupersededError, match="held the lease: to do this all the same, trigger a new run"):
        acquire_lease(s3, ROLLBACK)


def test_a_rollback_wins_over_a_deployment_in_progress_that_was_requested_later(s3: Any) -> None:
    acquire_lease(s3, DEPLOY, 1)

    assert acquire_lease(s3, ROLLBACK) is not None


def test_a_run_that_died_loses_its_lease_when_its_time_is_over(s3: Any) -> None:
    _acquire(s3, DEPLOY)

    assert _acquire(s3, SECOND, 1, after=SPAN - timedelta(seconds=1)) is None
    assert _acquire(s3, SECOND, 1, after=SPAN) is not None


def test_a_task_that_is_cleared_after_the_run_ended_acquires_its_runs_lease_again(s3: Any) -> None:
    acquire_lease(s3, DEPLOY)
    lease.release(s3, BUCKET, "webapp", DEPLOY)

    lease.check(s3, BUCKET, "webapp", DEPLOY)

    now = lease_now(s3)
    assert now.is_open(datetime.now(UTC))
    assert now.token == 2


def test_a_task_that_is_cleared_after_another_run_had_the_lease_is_superseded(s3: Any) -> None:
    acquire_lease(s3, DEPLOY)
    lease.release(s3, BUCKET, "webapp", DEPLOY)
    acquire_lease(s3, SECOND, 1)
    lease.release(s3, BUCKET, "webapp", SECOND)

    with pytest.raises(SupersededError, match=SECOND):
        lease.check(s3, BUCKET, "webapp", DEPLOY)


def test_only_the_holder_releases_the_lease_and_only_once(s3: Any) -> None:
    assert not lease.release(s3, BUCKET, "webapp", DEPLOY)
    acquire_lease(s3, DEPLOY)

    assert not lease.release(s3, BUCKET, "webapp", SECOND)
    assert lease.release(s3, BUCKET, "webapp", DEPLOY)
    assert not lease.release(s3, BUCKET, "webapp", DEPLOY)


def _interrupt(s3: Any, monkeypatch: pytest.MonkeyPatch, other: Callable[[], object]) -> list[str]:
    """Let `other` write once between the next read and the write that follows; return the order of writes."""
    write, order = lease._write, []

    def late(client: Any, bucket: str, service: str, after: lease.Lease, etag: str) -> bool:
        if not order:
            order.append("other")
            other()
        order.append(after.holder)
        return write(client, bucket, service, after, etag)

    monkeypatch.setattr(lease, "_write", late)
    return order


def test_a_release_does_not_end_the_lease_that_a_rollback_took_meanwhile(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire_lease(s3, DEPLOY)
    _interrupt(s3, monkeypatch, lambda: acquire_lease(s3, ROLLBACK, 1))

    assert not lease.release(s3, BUCKET, "webapp", DEPLOY)
    now = lease_now(s3)
    assert now.is_open(datetime.now(UTC))
    assert now.holder == ROLLBACK


def test_a_cleared_task_does_not_take_its_lease_back_from_a_run_that_was_faster(
    s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    acquire_lease(s3, DEPLOY)
    lease.release(s3, BUCKET, "webapp", DEPLOY)
    _interrupt(s3, monkeypatch, lambda: acquire_lease(s3, SECOND, 1))

    with pytest.raises(SupersededError, match=SECOND):
        lease.check(s3, BUCKET, "webapp", DEPLOY)


def test_a_bucket_that_does_not_exist_is_named(s3: Any) -> None:
    with pytest.raises(ConfigError, match="bucket elsewhere does not exist"):
        lease.acquire(s3, "elsewhere", "webapp", _request(DEPLOY))


@pytest.mark.parametrize("later", [DEPLOY, "rollback_webapp/later"])
def test_a_run_that_was_requested_after_a_rollback_waits_for_it(s3: Any, later: str) -> None:
    acquire_lease(s3, ROLLBACK)

    assert acquire_lease(s3, later, 1) is None


@pytest.mark.parametrize("is_released", [False, True], ids=["no lease", "a released lease"])
def test_of_two_runs_that_find_the_lease_free_at_the_same_time_one_gets_it_and_one_waits(
    s3: Any, monkeypatch: pytest.MonkeyPatch, is_released: bool
) -> None:
    if is_released:
        acquire_lease(s3, "deploy_webapp/before", -1)
        lease.release(s3, BUCKET, "webapp", "deploy_webapp/before")
    order = _interrupt(s3, monkeypatch, lambda: acquire_lease(s3, SECOND))

    assert acquire_lease(s3, DEPLOY) is None
    assert order == ["other", SECOND, DEPLOY]
    assert (lease_now(s3).holder, lease_now(s3).token) == (SECOND, 1 + is_released)


@pytest.mark.parametrize(("holder", "taken"), [(DEPLOY, False), (ROLLBACK, True), (None, False)])
def test_a_trigger_sees_that_another_run_took_the_lease(holder: str | None, taken: bool) -> None:
    async def scan() -> lease.Lease | None:
        answer: Any = "NoSuchKey"
        if holder:
            answer = {"Body": Body(_request(holder).grant(None, NOW).model_dump_json().encode()), "ETag": '"1"'}
        async with await AsyncScript("s3", ("get_object", answer)).get_async_conn() as client:
            return await lease.held_by_another(client, BUCKET, "webapp", DEPLOY)

    assert (asyncio.run(scan()) is not None) == taken
