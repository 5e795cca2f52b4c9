"""The task `deploy` of a rebake: the service's own DAG rolls the new image out."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from rebake import config
from rebake.estate import dependents
from rebake.exceptions import DeploymentFailedError
from rebake.hooks.releases import ReleasesHook
from rebake.operators.choose_version import current_and_newest
from rebake.release.record import ReleaseOutcome
from rebake.release.results import Failure
from rebake.release.stage import Stage
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.run_facts import push_failure


class DeployDependentOperator(EnvironmentConnection, TriggerDagRunOperator):
    """Start a run of `deploy_<service>` and wait for it, deferred; return the id of its release.

    The run replaces the release that `choose_version` saw and no other, so that it cannot undo what somebody has
    deployed or rolled back since. Its name comes from the run of this task: a retry finds it, and starts no second one.

    Args:
        service: name of the service (templated).
        version: the version to deploy (templated).
        commit: commit of its artifact (templated).
        build_id: build of its artifact (templated).
        replaces: id of the release that it runs (templated).
        base_ami: the base that it moves to (templated).
    """

    template_fields: Sequence[str] = ("service", "version", "commit", "build_id", "replaces", "base_ami")

    def __init__(
        self,
        *,
        service: str,
        version: str,
        commit: str,
        build_id: str,
        replaces: str,
        base_ami: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            # Known once the service is. The logical date is when the run is started: None would hide the run from the
            # counts on Airflow's home page.
            trigger_dag_id="",
            wait_for_completion=True,
            deferrable=True,
            # A run of a paused DAG would wait in the queue, and this task with it, silently.
            fail_when_dag_is_paused=True,
            openlineage_inject_parent_info=False,
            **kwargs,
        )
        self.service = service
        self.version = version
        self.commit = commit
        self.build_id = build_id
        self.replaces = replaces
        self.base_ami = base_ami

    def execute(self, context: Context) -> None:
        """Start the run, or find the one that an earlier try has started, and defer.

        Raises:
            ConfigError: the service's file is wrong.
            AirflowSkipException: the service's file wants a bake alone.
        """
        if config.load_service(self.service, self.environment).on_new_base != dependents.DEPLOY:
            raise AirflowSkipException(f"{self.service} waits for its next deployment: it has on_new_base: bake")
        ti: Any = context["ti"]
        self.trigger_dag_id = f"deploy_{self.service}"
        self.trigger_run_id = f"rebake__{ti.run_id}"
        self.poke_interval = max(1, round(self.environment.poll_seconds))
        conf = {
            "version": self.version,
            "commit": self.commit,
            "build_id": self.build_id,
            "replaces": self.replaces,
            "requested_by": f"new base {self.base_ami}",
        }
        self.conf = {name: value for name, value in conf.items() if value}
        if ti.get_dr_count(dag_id=self.trigger_dag_id, run_ids=[self.trigger_run_id]):
            self.log.info("found run %s of %s, which an earlier try started", self.trigger_run_id, self.trigger_dag_id)
            self.defer(
                trigger=DagStateTrigger(
                    dag_id=self.trigger_dag_id,
                    states=[*self.allowed_states, *self.failed_states],
                    run_ids=[self.trigger_run_id],
                    poll_interval=self.poke_interval,
                ),
                method_name="execute_complete",
            )
        super().execute(context)

    def execute_complete(self, context: Context, event: tuple[str, dict[str, Any]]) -> str:
        """Return the id of the release.

        Raises:
            DeploymentFailedError: the run failed, or was superseded by one that is on an old base too.
            AirflowSkipException: another run has brought the service to the newest base.
        """
        _, data = event
        (run_id,) = data["run_ids"]
        dag_id = f"deploy_{self.service}"
        if data[run_id] == "failed":
            raise DeploymentFailedError(f"run {run_id} of {dag_id} failed: see its log and its release record")
        ti: Any = context["ti"]
        pulled = {"dag_id": dag_id, "run_id": run_id, "map_indexes": -1}
        if ti.xcom_pull(task_ids=Stage.FINALIZE, **pulled) == ReleaseOutcome.SUCCESSFUL:
            return str(ti.xcom_pull(task_ids=Stage.RECORD_RELEASE, **pulled))
        return self._superseded(context, run_id)

    def _superseded(self, context: Context, run_id: str) -> str:
        service = config.load_service(self.service, self.environment)
        hook = ReleasesHook(**self.connection)
        stay = dependents.reason_to_stay(service, *current_and_newest(hook, service, self.environment, self.connection))
        if not stay:
            raise DeploymentFailedError(
                f"run {run_id} of deploy_{self.service} was superseded by a later one, which is on an old base too: "
                f"trigger rebake_on_new_base with base={service.base} again"
            )
        push_failure(context, Failure(reason=ReleaseOutcome.SUPERSEDED, message=stay))
        raise AirflowSkipException(f"superseded: {stay}")
