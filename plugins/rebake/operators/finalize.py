"""The stage `finalize`: however the run ended, write it down and release the lease."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from airflow.sdk import Context

from rebake.hooks.autoscaling import AutoScalingHook
from rebake.release import lease
from rebake.release.record import Instances, Refresh, ReleaseOutcome, ReleaseRecord, build, to_the_second
from rebake.release.results import Results
from rebake.release.stage import Stage
from rebake.stages.run_facts import RecordStage, failure_of, results, task_states
from rebake.stages.tooling import reachable, run_tag

RETURNED_STATES: Final = ("RollbackSuccessful",)
"""Statuses of a refresh that AWS has rolled back."""
_NO_REASON: Final = "see its log; the worker left no reason, and may have been lost"


class FinalizeOperator(RecordStage):
    """Write the final record of a run that did not succeed, and release the service's lease; return the outcome.

    A run that succeeded has its record already. As the teardown of its DAG it runs whatever happened before, and
    neither hides a failure nor makes one: the run fails if and only if one of its stages does.

    Args:
        **kwargs: those of `RecordStage`.
    """

    def execute(self, context: Context) -> str:
        """Return the outcome, a `ReleaseOutcome`."""
        states = task_states(context)
        run, bucket = run_tag(context), self.environment.bucket
        s3 = self.hook.s3
        outcome = ReleaseOutcome.SUCCESSFUL
        with reachable(self.hook):
            if states.get(Stage.RECORD_RELEASE) != "success":
                record = self._describe(context, states, lease.read(s3, bucket, self.service))
                record = self.hook.write(bucket, record)
                outcome = record.outcome
                self.log.info("%s: %s: %s", record.release_id, outcome, record.explanation)
            if lease.release(s3, bucket, self.service, run):
                self.log.info("%s released the lease of %s", run, self.service)
        return str(outcome)

    def _describe(self, context: Context, states: Mapping[str, str], now: lease.Lease | None) -> ReleaseRecord:
        found = results(context, states)
        fleet = self._fleet(found)
        refresh = fleet.get("refresh")
        return build(
            self.run_of(context),
            found,
            **fleet,
            **self._outcome(context, states, now, refresh.status if refresh else found.refresh_status),
            finished_at=to_the_second(datetime.now(UTC)),
        )

    def _fleet(self, found: Results) -> dict[str, Any]:
        """Return how the refresh ended, and what the group runs now; nothing if that is unknown.

        An error is logged and not raised: it must not lose the record.
        """
        fleet: dict[str, Any] = {}
        if found.applied is None:
            return fleet
        hook, group_name = AutoScalingHook(**self.connection), found.applied.auto_scaling_group_name
        refresh_id = found.started.refresh_id if found.started else ""
        try:
            for one in hook.refreshes(group_name) if refresh_id else ():
                if one["InstanceRefreshId"] == refresh_id:
                    fleet["refresh"] = Refresh(id=refresh_id, status=one["Status"])
            before = found.started.instances_before if found.started else ()
            fleet["instances"] = Instances(before=before, after=self.serving(group_name))
        except Exception as error:  # noqa: BLE001
            self.log.warning("the fleet's state is unknown: %s", error)
        return fleet

    def _outcome(
        self, context: Context, states: Mapping[str, str], now: lease.Lease | None, refresh_status: str
    ) -> dict[str, Any]:
        stages = [task.task_id for task in context["dag"].topological_sort() if not task.is_teardown]
        failed = next((stage for stage in stages if states.get(stage) == "failed"), "")
        if failed:
            failure = failure_of(context, failed)
            returned = refresh_status in RETURNED_STATES or states.get(Stage.ROLL_BACK) == "success"
            return {
                "outcome": ReleaseOutcome.ROLLED_BACK if returned else ReleaseOutcome.FAILED,
                "stage": failed,
                "reason": failure.reason if failure else "unknown",
                "explanation": failure.message if failure else f"{failed} failed: {_NO_REASON}",
            }
        skipped = next((stage for stage in stages if states.get(stage) == "skipped"), "")
        by, explanation = "", ""
        if skipped == Stage.ACQUIRE_LEASE and (failure := failure_of(context, skipped)):
            # Another release is current than the one that was to be replaced.
            by, explanation = failure.superseded_by or "", failure.message
        elif now is not None and now.holder != run_tag(context):
            by, explanation = now.holder, str(lease.superseded(now))
        if by:
            return {
                "outcome": ReleaseOutcome.SUPERSEDED,
                "stage": skipped,
                "reason": str(ReleaseOutcome.SUPERSEDED),
                "explanation": explanation,
                "superseded_by": by,
            }
        return {
            "outcome": ReleaseOutcome.FAILED,
            "stage": skipped,
            "reason": "stopped",
            "explanation": f"the run was stopped before {skipped or Stage.RECORD_RELEASE}: somebody marked it so",
        }
