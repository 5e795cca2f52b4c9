"""The stage `reap_orphans`: remove the orphans of bakes and tests, and report it."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import TypeAdapter

from rebake.estate import orphans
from rebake.estate.orphans import OrphanKind, ReapOutcome, ReapResult, Temporary
from rebake.exceptions import EstateError, ImageError
from rebake.hooks.orphans import LocksHook, OrphansHook
from rebake.hooks.reports import ReportsHook
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import reachable
from rebake.triggers.probe import InstancesTerminatedTrigger

TERMINATION_TIMEOUT: Final = 900
"""Seconds that instances may take to terminate; what they use then stays until the next run."""
RESULTS: Final = TypeAdapter(list[ReapResult])
GONE: Final = "gone, or taken into use, since it was found"


class ReapOrphansOperator(EnvironmentConnection, AwsBaseOperator[OrphansHook]):
    """Remove the environment's orphans, see `rebake.estate.orphans`; return the report's object key.

    Instances first; once they are terminated, which is waited for without a worker slot, what they used. Each thing is
    read again immediately before it is removed. Safe to repeat.
    """

    aws_hook_class = OrphansHook
    template_fields: Sequence[str] = aws_template_fields()

    def execute(self, context: Context) -> str:
        """Return the object key of the report; by deferring, where an instance was terminated.

        Raises:
            EstateError: AWS refused to remove something; everything else was removed.
        """
        with reachable(self.hook):
            results = self._reap(OrphanKind.INSTANCE)
        ended = [one.thing.id for one in results if one.outcome is ReapOutcome.REMOVED]
        if ended:
            self.log.info("terminating %s", ", ".join(ended))
            poll_seconds = self.environment.poll_seconds
            attempts = max(1, int(TERMINATION_TIMEOUT / poll_seconds))
            self.defer(
                trigger=InstancesTerminatedTrigger(
                    instance_ids=ended, waiter_delay=poll_seconds, waiter_max_attempts=attempts, **self.connection
                ),
                method_name="instances_terminated",
                kwargs={"results": RESULTS.dump_python(results, mode="json")},
                timeout=timedelta(seconds=TERMINATION_TIMEOUT + 60),
            )
        return self._finish(results)

    def instances_terminated(self, context: Context, event: dict[str, Any], results: list[dict[str, Any]]) -> str:
        """Remove what the instances used, see `execute`."""
        if event["status"] != "success":
            self.log.warning("not every instance is terminated yet, the next run goes on: %s", event["message"])
        return self._finish(RESULTS.validate_python(results))

    def _finish(self, results: list[ReapResult]) -> str:
        for kind in OrphanKind:
            if kind is not OrphanKind.INSTANCE:
                results += self._reap(kind)
        environment, now, older_than = self.environment, datetime.now(UTC), self._older_than
        locks = LocksHook(**self.connection).find(environment.bucket, environment.name)
        report = orphans.report(
            results,
            orphans.stale(locks, now=now, older_than=older_than),
            environment=environment.name,
            region=environment.region,
            now=now,
            dry_run=environment.policy.orphans.dry_run,
            older_than=older_than,
        )
        key = ReportsHook(**self.connection).write(environment.bucket, report)
        self.log.info("%s\n\nwrote s3://%s/%s", report.to_text(), environment.bucket, key)
        failed = [one for one in results if one.outcome is ReapOutcome.FAILED]
        if failed:
            raise EstateError(
                f"AWS refused to remove {len(failed)} orphans, the first: {failed[0].thing.id}: {failed[0].why}"
            )
        return key

    @property
    def _older_than(self) -> timedelta:
        return timedelta(minutes=self.environment.policy.orphans.older_than_minutes)

    def _reap(self, kind: OrphanKind) -> list[ReapResult]:
        ours = (one for one in self.hook.find(kind) if orphans.is_ours(one, self.environment.name))
        return [self._judge(one) for one in ours]

    def _judge(self, thing: Temporary) -> ReapResult:
        dry_run = self.environment.policy.orphans.dry_run
        try:
            why = self._reason_to_stay(thing) or ("" if dry_run else self._remove(thing))
        except ImageError:  # somebody deregistered the image meanwhile
            return ReapResult(thing, ReapOutcome.KEPT, GONE)
        except (ClientError, BotoCoreError) as error:
            return ReapResult(thing, ReapOutcome.FAILED, str(error))
        if why:
            return ReapResult(thing, ReapOutcome.KEPT, why)
        return ReapResult(thing, ReapOutcome.DRY if dry_run else ReapOutcome.REMOVED, "")

    def _remove(self, thing: Temporary) -> str:
        """Find a thing again and remove it; return why it stays, if it does."""
        again = self.hook.find_again(thing)
        if again is None or not orphans.is_ours(again, self.environment.name):
            return GONE
        return self._reason_to_stay(again) or self.hook.remove(again)

    def _reason_to_stay(self, thing: Temporary) -> str:
        return orphans.reason_to_stay(thing, now=datetime.now(UTC), older_than=self._older_than)
