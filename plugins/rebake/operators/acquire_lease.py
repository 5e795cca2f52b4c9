"""The stage `acquire_lease`: from here on this run, and no other, changes what the service runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config
from rebake.exceptions import ConfigError, SupersededError
from rebake.hooks.lease import LeaseHook
from rebake.hooks.releases import ReleasesHook
from rebake.release import lease
from rebake.release import record as release
from rebake.release.lease import LeaseRequest, RunKind
from rebake.release.record import ReleaseOutcome
from rebake.release.results import Failure
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.run_facts import push_failure, release_run, results, task_states
from rebake.stages.tooling import reachable, run_tag
from rebake.triggers.lease import until_over

if TYPE_CHECKING:
    from airflow.sdk import Context


class AcquireLeaseOperator(EnvironmentConnection, AwsBaseOperator[LeaseHook]):
    """Acquire the service's lease, waiting deferred for a run that has it; return the lease's token.

    Then write the first state of the release record. See `rebake.release.lease` for who waits for whom.

    Args:
        service: name of the service (templated).
        kind: `deploy`, which waits, or `rollback`, which acquires the lease from a deployment (templated).
        replaces: the release that must be the current one still; empty if any may be (templated).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = LeaseHook
    template_fields: Sequence[str] = aws_template_fields("service", "kind", "replaces")

    def __init__(self, *, service: str, kind: str = RunKind.DEPLOY, replaces: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.kind = kind
        self.replaces = replaces

    def execute(self, context: Context) -> int:
        """Return the lease's token.

        Raises:
            ConfigError: the environment's bucket does not exist, or the kind is none.
            CloudUnreachableError: the AWS API does not answer.
            AirflowSkipException: a run that was requested later has, or had, the lease, or another release than the
                one that was to be replaced is current: this run is superseded.
        """
        if self.kind not in set(RunKind):
            raise ConfigError(f"kind {self.kind!r} of a lease is none of {', '.join(RunKind)}")
        with reachable(self.hook):
            taken = self._take(context)
            # Only who holds the lease knows that no release comes in between.
            self._check_replaced(context)
        self.log.info("%s has lease %d of %s until %s", taken.holder, taken.token, self.service, taken.until)
        self._begin_record(context)
        return taken.token

    def execute_complete(self, context: Context, event: dict[str, Any]) -> int:
        """Try again, now that the lease that was waited for is over."""
        return self.execute(context)

    def _take(self, context: Context) -> lease.Lease:
        rollout = config.load_service(self.service, self.environment).rollout
        span = timedelta(seconds=rollout.timeout) + lease.SLACK
        claim = LeaseRequest(run_tag(context), RunKind(self.kind), context["dag_run"].run_after, span)
        while True:
            try:
                taken = lease.acquire(self.hook.s3, self.environment.bucket, self.service, claim)
            except SupersededError as error:
                raise AirflowSkipException(str(error)) from error
            if taken:
                return taken
            # Given back between the two looks, it is there to be taken.
            other = lease.read(self.hook.s3, self.environment.bucket, self.service)
            if other and other.is_open(datetime.now(UTC)):
                self._wait(other)

    def _wait(self, other: lease.Lease) -> None:
        self.log.info(
            "%s holds the lease of %s since %s: waiting for its end. If it is no longer running, clear its task "
            "`finalize`; otherwise the lease is void at %s",
            other.holder,
            self.service,
            other.since,
            other.until,
        )
        self.defer(**until_over(other, self.service, self.environment, self.connection))

    def _check_replaced(self, context: Context) -> None:
        replaces = str(self.replaces or "").strip()
        if not replaces:
            return
        records = ReleasesHook(**self.connection).records(self.environment.bucket, self.service)
        now = release.current(records)
        if now is None or now.release_id != replaces:
            is_current = f"{now.release_id} is the current release" if now else "there is no release"
            message = f"{is_current} of {self.service}, and {replaces} was to be replaced"
            by = now.dag_run if now else "unknown"
            push_failure(context, Failure(reason=ReleaseOutcome.SUPERSEDED, message=message, superseded_by=by))
            raise AirflowSkipException(f"superseded: {message}")

    def _begin_record(self, context: Context) -> None:
        run = release_run(context, self.kind, self.service, self.environment.name)
        record = release.build(run, results(context, task_states(context)))
        ReleasesHook(**self.connection).write_progress(self.environment.bucket, record)
