"""The lease on a service: one run at a time may change what the service runs.

Airflow keeps two runs of one DAG apart. Deployments and rollbacks are two DAGs, and two installations of Airflow may
serve one environment: so the lease is an object in the environment's bucket, `leases/<service>.json`. S3 itself decides
between two writers (conditional writes), and nobody removes the object: a lease that ended still names its last holder.

The last word counts:

* a deployment waits for the run that holds the lease;
* a rollback preempts a deployment at once, which then ends as *superseded* before its next effect;
* a repair of drift acquires a lease that nobody holds, or none: it asks for nothing new, and so supersedes nobody;
* a run that was asked for before another that has held the lease since is superseded, too. So clearing the run of
  yesterday's deployment cannot bring yesterday's version back.

A run keeps its lease over its own retries. One that died without releasing it loses it when the time it named is over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from rebake.aws_errors import error_code
from rebake.exceptions import ConfigError, SupersededError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SLACK: Final = timedelta(hours=1)
"""How much longer than its rollout a run may hold the lease: for Terraform, and for Airflow to come back."""

_LOST: Final = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
"""Somebody wrote between our look and our write."""
_MISSING: Final = ("NoSuchKey", "404")


class RunKind(StrEnum):
    """What a run does to a service."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    REPAIR = "repair"


@dataclass(frozen=True)
class Lease:
    """A lease, as it is kept.

    Attributes:
        holder: the run, `<dag_id>/<run_id>` as in the tag `rebake:dag-run`.
        kind: what that run does.
        token: counts the leases of the service, so the higher is the later.
        requested_at: when the run was asked for.
        since: when it acquired the lease.
        until: when it loses the lease, should it not release it.
        released_at: when it did; none while it holds the lease.
    """

    holder: str
    kind: RunKind
    token: int
    requested_at: datetime
    since: datetime
    until: datetime
    released_at: datetime | None = None

    @classmethod
    def load(cls, text: bytes | str) -> Lease:
        """Return the lease that the object's text tells of."""
        data = json.loads(text)
        return cls(
            holder=data["holder"],
            kind=RunKind(data["kind"]),
            token=data["token"],
            requested_at=datetime.fromisoformat(data["requested_at"]),
            since=datetime.fromisoformat(data["since"]),
            until=datetime.fromisoformat(data["until"]),
            released_at=datetime.fromisoformat(data["released_at"]) if data["released_at"] else None,
        )

    def dump(self) -> bytes:
        """Return the object's text."""
        data = {name: _plain(value) for name, value in vars(self).items()}
        return json.dumps(data, indent=2, sort_keys=True).encode() + b"\n"

    def is_open(self, now: datetime) -> bool:
        """Return whether its holder still has it."""
        return self.released_at is None and now < self.until


@dataclass(frozen=True)
class LeaseRequest:
    """A run that wants the lease.

    Args:
        run: `<dag_id>/<run_id>`.
        kind: what it does.
        requested_at: when it was asked for.
        span: how long it may hold the lease.
    """

    run: str
    kind: RunKind
    requested_at: datetime
    span: timedelta

    def is_next(self, lease: Lease | None, now: datetime) -> bool:
        """Return whether the run may acquire the lease; if not, it has to wait.

        Raises:
            SupersededError: it never may: it was asked for before the run that has it, or had it last.
        """
        if lease is None or lease.holder == self.run:
            return True
        overrides = self.kind is RunKind.ROLLBACK and lease.kind is not RunKind.ROLLBACK and lease.is_open(now)
        if lease.requested_at > self.requested_at and not overrides:
            raise SupersededError(
                f"{lease.holder}, which was requested later, {'holds' if lease.is_open(now) else 'has held'} the lease"
                ": to do this all the same, trigger a new run",
                by=lease.holder,
            )
        return overrides or not lease.is_open(now)

    def grant(self, lease: Lease | None, now: datetime) -> Lease:
        """Return the lease that follows `lease`, held by the run."""
        token = lease.token + 1 if lease else 1
        return Lease(self.run, self.kind, token, self.requested_at, since=now, until=now + self.span)


def key(service: str) -> str:
    """Return the object key of a service's lease."""
    return f"leases/{service}.json"


def read(s3: S3Client, bucket: str, service: str) -> Lease | None:
    """Return the newest lease, open or not; none if there never was one (S3, GetObject)."""
    return _read(s3, bucket, service)[0]


def acquire(
    s3: S3Client, bucket: str, service: str, request: LeaseRequest, *, now: datetime | None = None
) -> Lease | None:
    """Acquire the lease, and return it; none if the run has to wait (S3, PutObject with If-Match or If-None-Match).

    A run that holds the lease already keeps it, with its number; the time it may last begins anew.

    Raises:
        SupersededError: the run was asked for before one that holds, or held, the lease.
        ConfigError: the bucket does not exist.
    """
    while True:
        moment = now or datetime.now(UTC)
        before, etag = _read(s3, bucket, service)
        if not request.is_next(before, moment):
            return None
        if before and before.holder == request.run and before.is_open(moment):
            after = replace(before, until=moment + request.span)
        else:
            after = request.grant(before, moment)
        if _write(s3, bucket, service, after, etag):
            return after


def acquire_if_free(s3: S3Client, bucket: str, service: str, run: str, span: timedelta) -> Lease | None:
    """Acquire a lease that nobody has, to bring back what was asked for before; none if somebody has it.

    The request is as old as the last lease: a deployment that is baking meanwhile gets its lease afterwards.
    """
    before = read(s3, bucket, service)
    requested_at = before.requested_at if before else datetime.now(UTC)
    try:
        return acquire(s3, bucket, service, LeaseRequest(run, RunKind.REPAIR, requested_at, span))
    except SupersededError:
        return None


def check(s3: S3Client, bucket: str, service: str, run: str) -> None:
    """Make sure that a run that acquired the lease still has it; call this before each effect on the service.

    A run that released its lease and goes on, because somebody cleared one of its tasks, takes it again, if nobody
    else had it meanwhile.

    Raises:
        SupersededError: another run holds, or held, the lease.
    """
    while True:
        lease, etag = _read(s3, bucket, service)
        if lease is None:
            return
        if lease.holder != run:
            raise superseded(lease)
        now = datetime.now(UTC)
        if lease.is_open(now):
            return
        again = replace(
            lease, token=lease.token + 1, since=now, until=now + (lease.until - lease.since), released_at=None
        )
        if _write(s3, bucket, service, again, etag):
            return


def release(s3: S3Client, bucket: str, service: str, run: str) -> bool:
    """End a run's lease, and return whether it had it."""
    while True:
        lease, etag = _read(s3, bucket, service)
        if lease is None or lease.holder != run or lease.released_at is not None:
            return False
        if _write(s3, bucket, service, replace(lease, released_at=datetime.now(UTC)), etag):
            return True


async def held_by_another(s3: Any, bucket: str, service: str, run: str) -> Lease | None:
    """Return the lease if another run than `run` holds it, or held it last; by an aiobotocore client of S3.

    For triggers, which look again and again: it writes nothing.
    """
    try:
        answer = await s3.get_object(Bucket=bucket, Key=key(service))
    except ClientError as error:
        if error_code(error) in _MISSING:
            return None
        raise
    lease = Lease.load(await answer["Body"].read())
    return lease if lease.holder != run else None


def superseded(lease: Lease) -> SupersededError:
    """Return the error of a run that finds its lease taken."""
    return SupersededError(f"superseded by {lease.holder} ({lease.kind}), since {_plain(lease.since)}", by=lease.holder)


def _read(s3: S3Client, bucket: str, service: str) -> tuple[Lease | None, str]:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key(service))
    except ClientError as error:
        if error_code(error) in _MISSING:
            return None, ""
        _refuse_missing_bucket(error, bucket)
        raise
    return Lease.load(answer["Body"].read()), answer["ETag"]


def _write(s3: S3Client, bucket: str, service: str, lease: Lease, etag: str) -> bool:
    """Write the lease in the place of the one with this ETag, or of none; return whether that is what was there."""
    condition: Mapping[str, Any] = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    try:
        s3.put_object(Bucket=bucket, Key=key(service), Body=lease.dump(), ContentType="application/json", **condition)
    except ClientError as error:
        if error_code(error) in _LOST:
            return False
        _refuse_missing_bucket(error, bucket)
        raise
    return True


def _refuse_missing_bucket(error: ClientError, bucket: str) -> None:
    if error_code(error) == "NoSuchBucket":
        raise ConfigError(
            f"bucket {bucket!r} does not exist: make it, or correct `bucket` in the environment's file"
        ) from error


def _plain(value: object) -> object:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value
