"""The stage `take_turn`: from here on this run, and no other, changes what the service runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config, release, turn
from rebake.connection import EnvironmentConnection
from rebake.exceptions import ConfigError, SupersededError
from rebake.hooks.releases import ReleasesHook
from rebake.hooks.turns import TurnsHook
from rebake.run_facts import described, found_out, task_states
from rebake.tooling import reachable, run_tag
from rebake.triggers.turn import TurnTrigger
from rebake.turn import Claim, Kind

if TYPE_CHECKING:
    from airflow.sdk import Context

_GRACE = timedelta(seconds=120)
"""After the trigger's own deadline, when Airflow ends the deferral, should the trigger not."""


class TakeTurnOperator(EnvironmentConnection, AwsBaseOperator[TurnsHook]):
    """Take the service's turn, waiting deferred for a run that has it; return the turn's number.

    Then write the first word of the release record. See `rebake.turn` for who waits for whom.

    Args:
        service: name of the service (templated).
        kind: `deploy`, which waits, or `rollback`, which takes the turn from a deployment (templated).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = TurnsHook
    template_fields: Sequence[str] = aws_template_fields("service", "kind")

    def __init__(self, *, service: str, kind: str = Kind.DEPLOY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.kind = kind

    def execute(self, context: Context) -> int:
        """Return the turn's number.

        Raises:
            ConfigError: the environment's bucket does not exist, or the kind is none.
            CloudUnreachableError: the AWS API does not answer.
            AirflowSkipException: a run that was asked for later has, or had, the turn: this one is superseded.
        """
        if self.kind not in set(Kind):
            raise ConfigError(f"kind {self.kind!r} of a turn is none of {', '.join(Kind)}")
        with reachable(self.hook):
            taken = self._take(context)
        self.log.info("%s has turn %d of %s until %s", taken.holder, taken.token, self.service, taken.until)
        self._begin_record(context)
        return taken.token

    def execute_complete(self, context: Context, event: dict[str, Any]) -> int:
        """Try again, now that the turn that was waited for is over."""
        return self.execute(context)

    def _take(self, context: Context) -> turn.Turn:
        rollout = config.load_service(self.service, self.environment).rollout
        span = timedelta(seconds=rollout.timeout) + turn.SLACK
        claim = Claim(run_tag(context), Kind(self.kind), context["dag_run"].run_after, span)
        while True:
            try:
                taken = turn.take(self.hook.s3, self.environment.bucket, self.service, claim)
            except SupersededError as error:
                raise AirflowSkipException(str(error)) from error
            if taken:
                return taken
            # Given back between the two looks, it is there to be taken.
            other = turn.read(self.hook.s3, self.environment.bucket, self.service)
            if other and other.is_open(datetime.now(UTC)):
                self._wait(other)

    def _wait(self, other: turn.Turn) -> None:
        self.log.info(
            "%s has the turn of %s since %s: waiting for its end. If it is no longer running, clear its task "
            "`conclude`; otherwise the turn is void at %s",
            other.holder,
            self.service,
            other.since,
            other.until,
        )
        self.defer(
            trigger=TurnTrigger(
                bucket=self.environment.bucket,
                service=self.service,
                token=other.token,
                deadline=other.until.timestamp(),
                poll_seconds=self.environment.poll_seconds,
                **self.connection,
            ),
            method_name="execute_complete",
            timeout=max(other.until - datetime.now(UTC), timedelta(0)) + _GRACE,
        )

    def _begin_record(self, context: Context) -> None:
        facts = found_out(context, task_states(context))
        record = {**described(context, self.service, self.environment.name), **facts, "kind": str(self.kind)}
        names = release.release_ids(self.service, record["version"], context["dag_run"].run_after)
        hook = ReleasesHook(**self.connection)
        hook.write_progress(self.environment.bucket, {**record, "release_id": next(names)})
