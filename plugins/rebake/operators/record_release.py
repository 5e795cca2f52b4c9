"""The stage `record_release`: write down the release, and only then make its image the current one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from rebake import tags
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.registry import RegistryHook, moved
from rebake.hooks.releases import ReleasesHook
from rebake.image.channels import service_name
from rebake.release import record as release
from rebake.release.lease import RunKind
from rebake.rollout.refresh import leaves_the_group
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.guards import LeaseGuard
from rebake.stages.run_facts import described, text
from rebake.stages.tooling import reachable

if TYPE_CHECKING:
    from airflow.sdk import Context


class RecordReleaseOperator(EnvironmentConnection, AwsBaseOperator[ReleasesHook]):
    """Write the release record, tag the image, move `current` and `previous`; return the release id.

    The record comes first and the pointers last: `current` never points at a release without a record. A retry
    finds its own record and finishes what is left; nothing moves twice. The arguments are the record's fields,
    see `record.schema.json`.

    Args:
        service: name of the service (templated).
        version: the application's version (templated).
        ami_id: the image that now runs (templated).
        commit: commit of the artifact (templated).
        build_id: build of the artifact (templated).
        template_version: version of the Packer template (templated).
        fingerprint: digest of the image's inputs (templated).
        base_ami: image that it was baked on (templated).
        reused: whether the image existed already (templated).
        test_report: what the probe returned (templated).
        launch_template_id: the template (templated).
        launch_template_version: its version (templated).
        auto_scaling_group_name: the group (templated).
        url: address of the load balancer (templated).
        refresh_id: the instance refresh; empty if none was needed (templated).
        refresh_status: its final status (templated).
        instances_before: ids of the instances that were replaced (templated).
        kind: `deploy` or `rollback` (templated).
        restores: of a rollback, the release whose image it returned to (templated).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = ReleasesHook
    template_fields: Sequence[str] = aws_template_fields(
        "service",
        "version",
        "ami_id",
        "commit",
        "build_id",
        "template_version",
        "fingerprint",
        "base_ami",
        "reused",
        "test_report",
        "launch_template_id",
        "launch_template_version",
        "auto_scaling_group_name",
        "url",
        "refresh_id",
        "refresh_status",
        "instances_before",
        "kind",
        "restores",
    )

    def __init__(
        self,
        *,
        service: str,
        version: str,
        ami_id: str,
        commit: str,
        build_id: str,
        template_version: str,
        fingerprint: str,
        base_ami: str,
        reused: bool,
        test_report: dict[str, Any],
        launch_template_id: str,
        launch_template_version: str,
        auto_scaling_group_name: str,
        url: str,
        refresh_id: str,
        refresh_status: str,
        instances_before: list[str],
        kind: str = RunKind.DEPLOY,
        restores: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.version = version
        self.ami_id = ami_id
        self.commit = commit
        self.build_id = build_id
        self.template_version = template_version
        self.fingerprint = fingerprint
        self.base_ami = base_ami
        self.reused = reused
        self.test_report = test_report
        self.launch_template_id = launch_template_id
        self.launch_template_version = launch_template_version
        self.auto_scaling_group_name = auto_scaling_group_name
        self.url = url
        self.refresh_id = refresh_id
        self.refresh_status = refresh_status
        self.instances_before = instances_before
        self.kind = kind
        self.restores = restores

    @cached_property
    def lease(self) -> LeaseGuard:
        """The service's lease, which this run must hold."""
        return LeaseGuard(self.service, self.environment)

    def execute(self, context: Context) -> str:
        """Return the release id.

        Raises:
            ConfigError: the environment's bucket does not exist.
            CloudUnreachableError: the AWS API does not answer.
            AirflowSkipException: the run is superseded.
        """
        with reachable(self.hook):
            self.lease.check(context)
            record = self._write(context)
        release_id: str = record["release_id"]
        InstanceHook(**self.connection).tag_image(self.ami_id, {tags.RELEASE: release_id})
        RegistryHook(**self.connection).release(
            service_name(self.service), self.ami_id, poll_seconds=self.environment.poll_seconds
        )
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = {
                "release": release_id,
                "ami_id": self.ami_id,
                "version": self.version,
            }
        self.log.info("release %s: %s runs %s", release_id, self.auto_scaling_group_name, self.ami_id)
        return release_id

    def _write(self, context: Context) -> dict[str, Any]:
        """Write the record under the first free name, or return the one that an earlier try has written."""
        record = self._describe(context)
        asked = context["dag_run"].run_after
        for release_id in release.release_ids(self.service, self.version, asked):
            record["release_id"] = release_id
            if self.hook.write(self.environment.bucket, record):
                self.log.info("wrote s3://%s/%s", self.environment.bucket, release.key(self.service, release_id))
                break
            known = self.hook.read(self.environment.bucket, self.service, release_id)
            if known is not None and release.same_release(known, record):
                self.log.info("release %s was written by an earlier try", release_id)
                return known
        return record

    def _describe(self, context: Context) -> dict[str, Any]:
        group = AutoScalingHook(**self.connection).group(self.auto_scaling_group_name)
        return {
            **described(context, self.service, self.environment.name),
            "kind": str(self.kind),
            "restores": self.restores or None,
            "version": self.version,
            "commit": self.commit,
            "build_id": self.build_id,
            "template_version": self.template_version,
            "fingerprint": self.fingerprint,
            "base_ami": self.base_ami,
            "ami_id": self.ami_id,
            "reused": self.reused,
            "test_report": self.test_report,
            "launch_template": {"id": self.launch_template_id, "version": str(self.launch_template_version)},
            "auto_scaling_group_name": self.auto_scaling_group_name,
            "url": self.url,
            "refresh": {"id": self.refresh_id or None, "status": self.refresh_status},
            "instances": {
                "before": list(self.instances_before),
                "after": sorted(one["InstanceId"] for one in group["Instances"] if not leaves_the_group(one)),
            },
            "channels": moved(RegistryHook(**self.connection).channels(service_name(self.service)), self.ami_id),
            "finished_at": text(datetime.now(UTC)),
            "outcome": release.SUCCESSFUL,
        }
