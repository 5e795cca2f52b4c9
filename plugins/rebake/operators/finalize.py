"""The stage `finalize`: however the run ended, write it down and release the lease."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.releases import ReleasesHook
from rebake.release import lease
from rebake.release import record as release
from rebake.release.lease import RunKind
from rebake.rollout.refresh import leaves_the_group
from rebake.stages.acquisition import REPLACED
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.dag_defaults import ERROR
from rebake.stages.run_facts import described, found_out, task_states, text
from rebake.stages.tooling import reachable, run_tag

if TYPE_CHECKING:
    from airflow.sdk import Context

RECORD: Final = "record_release"
"""The task that writes the record of a run that succeeds."""
TAKE_TURN: Final = "acquire_lease"
"""The task that may find that another release is current than the one that was to be replaced."""
ROLL_BACK: Final = "roll_back"
"""The task that returns the fleet to the image before, where AWS did not."""
TOLD: Final = ("failure", ERROR)
"""Where a task that failed left word of why: itself, or else the callback that every task has."""
RETURNED_STATES: Final = ("RollbackSuccessful",)
_UNTOLD: Final = "its log says why; no word of it came from the worker, which may have been lost"


class FinalizeOperator(EnvironmentConnection, AwsBaseOperator[ReleasesHook]):
    """Write the final record of a run that did not succeed, and give the service's lease back; return the outcome.

    A run that succeeded has its record already. As the teardown of its DAG it runs whatever happened before, and
    neither hides a failure nor makes one: the run fails if and only if one of its stages does.

    Args:
        service: name of the service (templated).
        kind: `deploy` or `rollback` (templated).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = ReleasesHook
    template_fields: Sequence[str] = aws_template_fields("service", "kind")

    def __init__(self, *, service: str, kind: str = RunKind.DEPLOY, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.kind = kind

    def execute(self, context: Context) -> str:
        """Return the outcome, one of those in `release.schema.json`.

        Raises:
            ConfigError: the environment's bucket does not exist.
            CloudUnreachableError: the AWS API does not answer.
        """
        states = task_states(context)
        run, bucket = run_tag(context), self.environment.bucket
        s3 = self.hook.s3
        with reachable(self.hook):
            if states.get(RECORD) == "success":
                outcome = release.SUCCESSFUL
            else:
                record = self._describe(context, states, lease.read(s3, bucket, self.service))
                outcome = record["outcome"]
                self._write(record, context)
                self.log.info("%s: %s: %s", record["release_id"], outcome, record["explanation"])
            if lease.release(s3, bucket, self.service, run):
                self.log.info("%s released the lease of %s", run, self.service)
        return outcome

    def _describe(self, context: Context, states: Mapping[str, str], now: lease.Lease | None) -> dict[str, Any]:
        facts = found_out(context, states)
        group = facts.get("auto_scaling_group_name")
        if group:
            facts |= self._fleet(group, facts)
        return {
            **described(context, self.service, self.environment.name),
            **facts,
            "kind": str(self.kind),
            "finished_at": text(datetime.now(UTC)),
            **self._outcome(context, states, now, (facts.get("refresh") or {}).get("status", "")),
        }

    def _fleet(self, group_name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return how the refresh ended, and what the group runs now; not knowing it must not lose the record."""
        hook = AutoScalingHook(**self.connection)
        found: dict[str, Any] = {}
        try:
            refresh_id = (facts.get("refresh") or {}).get("id")
            for one in hook.refreshes(group_name) if refresh_id else ():
                if one["InstanceRefreshId"] == refresh_id:
                    found["refresh"] = {"id": refresh_id, "status": one["Status"]}
            serving = [one["InstanceId"] for one in hook.group(group_name)["Instances"] if not leaves_the_group(one)]
            before = (facts.get("instances") or {}).get("before", [])
            found["instances"] = {"before": before, "after": sorted(serving)}
        except Exception as error:  # noqa: BLE001
            self.log.warning("the fleet's state is not known: %s", error)
        return found

    def _outcome(
        self, context: Context, states: Mapping[str, str], now: lease.Lease | None, refresh_status: str
    ) -> dict[str, Any]:
        stages = [task.task_id for task in context["dag"].topological_sort() if not task.is_teardown]
        failed = next((stage for stage in stages if states.get(stage) == "failed"), "")
        if failed:
            ti: Any = context["ti"]
            told: dict[str, Any] = next(filter(None, (ti.xcom_pull(task_ids=failed, key=key) for key in TOLD)), {})
            returned = refresh_status in RETURNED_STATES or states.get(ROLL_BACK) == "success"
            return {
                "outcome": release.ROLLED_BACK if returned else release.FAILED,
                "stage": failed,
                "reason": told.get("reason") or "unknown",
                "explanation": told.get("message") or f"{failed} failed: {_UNTOLD}",
            }
        skipped = next((stage for stage in stages if states.get(stage) == "skipped"), "")
        if skipped == TAKE_TURN and (replaced := context["ti"].xcom_pull(task_ids=TAKE_TURN, key=REPLACED)):
            return {
                "outcome": release.SUPERSEDED,
                "stage": skipped,
                "reason": release.SUPERSEDED,
                "explanation": replaced["message"],
                "superseded_by": replaced["by"],
            }
        if now is not None and now.holder != run_tag(context):
            return {
                "outcome": release.SUPERSEDED,
                "stage": skipped,
                "reason": release.SUPERSEDED,
                "explanation": str(lease.superseded(now)),
                "superseded_by": now.holder,
            }
        return {
            "outcome": release.FAILED,
            "stage": skipped,
            "reason": "stopped",
            "explanation": f"the run was stopped before {skipped or RECORD}: somebody marked it so",
        }

    def _write(self, record: dict[str, Any], context: Context) -> None:
        """Write the record under the first free name, unless an earlier try of this run has written the same."""
        for release_id in release.release_ids(self.service, record["version"], context["dag_run"].run_after):
            record["release_id"] = release_id
            if self.hook.write(self.environment.bucket, record):
                return
            known = self.hook.read(self.environment.bucket, self.service, release_id)
            if known is not None and release.same_release(known, record):
                return
