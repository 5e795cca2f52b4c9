"""Acquiring a service's lease: wait for whoever has it, then begin the release record."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from airflow.sdk import Context
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


@dataclass(frozen=True)
class LeaseAcquisition:
    """Acquires a service's lease for the run of a stage, see `rebake.release.lease` for who waits for whom.

    Args:
        stage: the operator. Where another run holds the lease, it defers, and goes on with its method `lease_ended`.
        service: name of the service.
        kind: `deploy`, which waits, or `rollback`, which acquires the lease from a deployment.
        replaces: the release that must still be the current one; empty if any may be.
    """

    stage: EnvironmentConnection
    service: str
    kind: str
    replaces: str = ""

    def acquire(self, context: Context) -> lease.Lease:
        """Return the lease, once the release record has begun; or defer until the lease of another run has ended.

        Raises:
            ConfigError: the environment's bucket does not exist, or the kind is unknown.
            AirflowSkipException: this run is superseded: a run that was requested later has, or had, the lease, or
                the release that was to be replaced is no longer the current one.
        """
        if self.kind not in set(RunKind):
            raise ConfigError(f"kind {self.kind!r} of a lease is none of {', '.join(RunKind)}")
        environment, log = self.stage.environment, self.stage.log
        hook = LeaseHook(**environment.connection)
        with reachable(hook):
            taken = self._acquire(context, hook)
            # Only who holds the lease knows that no release comes in between.
            self._check_replaced(context)
        log.info("%s has lease %d of %s until %s", taken.holder, taken.token, self.service, taken.until)
        self._begin_record(context)
        return taken

    def _acquire(self, context: Context, hook: LeaseHook) -> lease.Lease:
        environment = self.stage.environment
        rollout = config.load_service(self.service, environment).rollout
        span = timedelta(seconds=rollout.timeout) + lease.SLACK
        request = LeaseRequest(run_tag(context), RunKind(self.kind), context["dag_run"].run_after, span)
        while True:
            try:
                taken = lease.acquire(hook.s3, environment.bucket, self.service, request)
            except SupersededError as error:
                raise AirflowSkipException(str(error)) from error
            if taken:
                return taken
            # If it was released since that request, the next one acquires it.
            other = lease.read(hook.s3, environment.bucket, self.service)
            if other and other.is_open(datetime.now(UTC)):
                self._wait(other)

    def _wait(self, other: lease.Lease) -> None:
        self.stage.log.info(
            "%s holds the lease of %s since %s: waiting for its end. If it is no longer running, clear its task "
            "`finalize`; otherwise the lease is void at %s",
            other.holder,
            self.service,
            other.since,
            other.until,
        )
        self.stage.defer(**until_over(other, self.service, self.stage.environment))

    def _check_replaced(self, context: Context) -> None:
        replaces = str(self.replaces or "").strip()
        if not replaces:
            return
        environment = self.stage.environment
        records = ReleasesHook(**environment.connection).records(environment.bucket, self.service)
        now = release.current(records)
        if now is None or now.release_id != replaces:
            is_current = f"{now.release_id} is the current release" if now else "there is no release"
            message = f"{is_current} of {self.service}, and {replaces} was to be replaced"
            by = now.dag_run if now else "unknown"
            push_failure(context, Failure(reason=ReleaseOutcome.SUPERSEDED, message=message, superseded_by=by))
            raise AirflowSkipException(f"superseded: {message}")

    def _begin_record(self, context: Context) -> None:
        environment = self.stage.environment
        run = release_run(context, self.kind, self.service, environment.name)
        record = release.build(run, results(context, task_states(context)))
        ReleasesHook(**environment.connection).write_progress(environment.bucket, record)
