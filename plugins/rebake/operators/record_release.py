"""The stage `record_release`: write the release record, and only then make its image the current one."""

from datetime import UTC, datetime
from functools import cached_property

from airflow.sdk import Context

from rebake import tags
from rebake.hooks.instance import InstanceHook
from rebake.hooks.registry import RegistryHook, moved
from rebake.image.channels import service_name
from rebake.release.record import Channels, Instances, ReleaseOutcome, ReleaseRecord, build, to_the_second
from rebake.stages.guards import LeaseGuard
from rebake.stages.run_facts import RecordStage, results, task_states
from rebake.stages.tooling import reachable


class RecordReleaseOperator(RecordStage):
    """Write the release record from the results of the run, tag the image, move `current` and `previous`.

    Return the release id. The record comes first and the channels last: `current` never points at a release without a
    record. A retry finds its own record and finishes what is left; nothing moves twice.

    Args:
        **kwargs: those of `RecordStage`.
    """

    lease = cached_property(lambda self: LeaseGuard(self.service, self.environment))

    def execute(self, context: Context) -> str:
        """Return the release id.

        Raises:
            AirflowSkipException: the run is superseded.
        """
        with reachable(self.hook):
            self.lease.check(context)
            record = self.hook.write(self.environment.bucket, self._describe(context))
        release_id, ami_id = record.release_id, str(record.ami_id)
        InstanceHook(**self.connection).tag_image(ami_id, {tags.RELEASE: release_id})
        RegistryHook(**self.connection).release(
            service_name(self.service), ami_id, poll_seconds=self.environment.poll_seconds
        )
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = {
                "release": release_id,
                "ami_id": ami_id,
                "version": record.version,
            }
        self.log.info("release %s: %s runs %s", release_id, record.auto_scaling_group_name, ami_id)
        return release_id

    def _describe(self, context: Context) -> ReleaseRecord:
        found = results(context, task_states(context))
        if found.image is None or found.applied is None or found.started is None:
            raise ValueError(f"a stage before {self.task_id} has left no result: clear the run from its first task")
        after = self.serving(found.applied.auto_scaling_group_name)
        channels = RegistryHook(**self.connection).channels(service_name(self.service))
        return build(
            self.run_of(context),
            found,
            instances=Instances(before=found.started.instances_before, after=after),
            channels=Channels(**moved(channels, found.image.ami_id)),
            finished_at=to_the_second(datetime.now(UTC)),
            outcome=ReleaseOutcome.SUCCESSFUL,
        )
