"""Whose turn it is: one run at a time may change what a service runs.

Airflow keeps two runs of one DAG apart. Deployments and rollbacks are two DAGs, and two installations of Airflow may
serve one environment: so the turn is an object in the environment's bucket, `turns/<service>.json`. S3 itself decides
between two writers (conditional writes), and nobody removes the object: a turn that ended still says whose it was.

The last word counts:

* a deployment waits for the run that has the turn;
* a rollback takes the turn from a deployment at once, which then ends as *superseded* before its next effect;
* a repair of drift takes a turn that nobody has, or none: it asks for nothing new, and so supersedes nobody;
* a run that was asked for before another that has had the turn since is superseded, too. So clearing the run of
  yesterday's deployment cannot bring yesterday's version back.

A run keeps its turn over its own retries. One that died without giving it back loses it when the time it named is over.
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
"""How much longer than its rollout a run may have the turn: for Terraform, and for Airflow to come back."""

_LOST: Final = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
"""Somebody wrote between our look and our write."""
_MISSING: Final = ("NoSuchKey", "404")


class Kind(StrEnum):
    """What a run does to a service."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    REPAIR = "repair"


@dataclass(frozen=True)
class Turn:
    """A turn, as it is kept.

    Attributes:
        holder: the run, `<dag_id>/<run_id>` as in the tag `rebake:dag-run`.
        kind: what that run does.
        token: counts the turns of the service, so the higher is the later.
        asked: when the run was asked for.
        since: when it took the turn.
        until: when it loses the turn, should it not give it back.
        given_back: when it did; none while it has the turn.
    """

    holder: str
    kind: Kind
    token: int
    asked: datetime
    since: datetime
    until: datetime
    given_back: datetime | None = None

    @classmethod
    def load(cls, text: bytes | str) -> Turn:
        """Return the turn that the object's text tells of."""
        data = json.loads(text)
        return cls(
            holder=data["holder"],
            kind=Kind(data["kind"]),
            token=data["token"],
            asked=datetime.fromisoformat(data["asked"]),
            since=datetime.fromisoformat(data["since"]),
            until=datetime.fromisoformat(data["until"]),
            given_back=datetime.fromisoformat(data["given_back"]) if data["given_back"] else None,
        )

    def dump(self) -> bytes:
        """Return the object's text."""
        data = {name: _plain(value) for name, value in vars(self).items()}
        return json.dumps(data, indent=2, sort_keys=True).encode() + b"\n"

    def is_open(self, now: datetime) -> bool:
        """Return whether its holder still has it."""
        return self.given_back is None and now < self.until


@dataclass(frozen=True)
class Claim:
    """A run that wants the turn.

    Args:
        run: `<dag_id>/<run_id>`.
        kind: what it does.
        asked: when it was asked for.
        span: how long it may have the turn.
    """

    run: str
    kind: Kind
    asked: datetime
    span: timedelta

    def is_next(self, turn: Turn | None, now: datetime) -> bool:
        """Return whether the run may take the turn; if not, it has to wait.

        Raises:
            SupersededError: it never may: it was asked for before the run that has it, or had it last.
        """
        if turn is None or turn.holder == self.run:
            return True
        overrides = self.kind is Kind.ROLLBACK and turn.kind is not Kind.ROLLBACK and turn.is_open(now)
        if turn.asked > self.asked and not overrides:
            raise SupersededError(
                f"{turn.holder}, which was asked for later, "
                f"{'has' if turn.is_open(now) else 'has had'} the turn: to do this all the same, trigger a new run",
                by=turn.holder,
            )
        return overrides or not turn.is_open(now)

    def take(self, turn: Turn | None, now: datetime) -> Turn:
        """Return the turn that follows `turn`, held by the run."""
        token = turn.token + 1 if turn else 1
        return Turn(self.run, self.kind, token, self.asked, since=now, until=now + self.span)


def key(service: str) -> str:
    """Return the object key of a service's turn."""
    return f"turns/{service}.json"


def read(s3: S3Client, bucket: str, service: str) -> Turn | None:
    """Return whose turn it is, or was last; none if nobody ever had one (S3, GetObject)."""
    return _read(s3, bucket, service)[0]


def take(s3: S3Client, bucket: str, service: str, claim: Claim, *, now: datetime | None = None) -> Turn | None:
    """Take the turn, and return it; none if the run has to wait (S3, PutObject with If-Match or If-None-Match).

    A run that has the turn already keeps it, with its number; the time it may last begins anew.

    Raises:
        SupersededError: the run was asked for before one that has, or had, the turn.
        ConfigError: the bucket does not exist.
    """
    while True:
        moment = now or datetime.now(UTC)
        before, etag = _read(s3, bucket, service)
        if not claim.is_next(before, moment):
            return None
        if before and before.holder == claim.run and before.is_open(moment):
            after = replace(before, until=moment + claim.span)
        else:
            after = claim.take(before, moment)
        if _write(s3, bucket, service, after, etag):
            return after


def take_if_free(s3: S3Client, bucket: str, service: str, run: str, span: timedelta) -> Turn | None:
    """Take a turn that nobody has, to bring back what was asked for before; none if somebody has it.

    The claim is as old as the last turn: a deployment that is baking meanwhile gets its turn afterwards.
    """
    before = read(s3, bucket, service)
    asked = before.asked if before else datetime.now(UTC)
    try:
        return take(s3, bucket, service, Claim(run, Kind.REPAIR, asked, span))
    except SupersededError:
        return None


def check(s3: S3Client, bucket: str, service: str, run: str) -> None:
    """Make sure that a run that took the turn still has it; call this before each effect on the service.

    A run that gave its turn back and goes on, because somebody cleared one of its tasks, takes it again, if nobody
    else had it meanwhile.

    Raises:
        SupersededError: another run has, or had, the turn.
    """
    while True:
        turn, etag = _read(s3, bucket, service)
        if turn is None:
            return
        if turn.holder != run:
            raise superseded(turn)
        now = datetime.now(UTC)
        if turn.is_open(now):
            return
        again = replace(turn, token=turn.token + 1, since=now, until=now + (turn.until - turn.since), given_back=None)
        if _write(s3, bucket, service, again, etag):
            return


def give_back(s3: S3Client, bucket: str, service: str, run: str) -> bool:
    """End a run's turn, and return whether it had it."""
    while True:
        turn, etag = _read(s3, bucket, service)
        if turn is None or turn.holder != run or turn.given_back is not None:
            return False
        if _write(s3, bucket, service, replace(turn, given_back=datetime.now(UTC)), etag):
            return True


async def taken_by_another(s3: Any, bucket: str, service: str, run: str) -> Turn | None:
    """Return the turn if another run than `run` has it, or had it last; by an aiobotocore client of S3.

    For triggers, which look again and again: it writes nothing.
    """
    try:
        answer = await s3.get_object(Bucket=bucket, Key=key(service))
    except ClientError as error:
        if error_code(error) in _MISSING:
            return None
        raise
    turn = Turn.load(await answer["Body"].read())
    return turn if turn.holder != run else None


def superseded(turn: Turn) -> SupersededError:
    """Return the error of a run that finds its turn taken."""
    return SupersededError(f"superseded by {turn.holder} ({turn.kind}), since {_plain(turn.since)}", by=turn.holder)


def _read(s3: S3Client, bucket: str, service: str) -> tuple[Turn | None, str]:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key(service))
    except ClientError as error:
        if error_code(error) in _MISSING:
            return None, ""
        _refuse_missing_bucket(error, bucket)
        raise
    return Turn.load(answer["Body"].read()), answer["ETag"]


def _write(s3: S3Client, bucket: str, service: str, turn: Turn, etag: str) -> bool:
    """Write the turn in the place of the one with this ETag, or of none; return whether that is what was there."""
    condition: Mapping[str, Any] = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
    try:
        s3.put_object(Bucket=bucket, Key=key(service), Body=turn.dump(), ContentType="application/json", **condition)
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
