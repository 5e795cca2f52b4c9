"""The stage `choose_release` of a rollback: which release to return to, and whether its image is still there."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake import config, tags
from rebake.exceptions import ImageError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.image import ImageHook
from rebake.hooks.instance import InstanceHook
from rebake.hooks.releases import ReleasesHook
from rebake.release import lease, rollback
from rebake.release.lease import RunKind
from rebake.release.record import ReleaseRecord
from rebake.release.results import ChosenRelease
from rebake.rollout.refresh import leaves_the_group
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.guards import RevocationGuard
from rebake.stages.tooling import reachable


class ChooseReleaseOperator(EnvironmentConnection, AwsBaseOperator[ReleasesHook]):
    """Choose the release to return to and check that its image can be launched; return it, a `ChosenRelease`.

    Nothing is changed.

    Args:
        service: name of the service (templated).
        release: id, version or image of the release; empty for the one before (templated).
    """

    aws_hook_class = ReleasesHook
    template_fields: Sequence[str] = aws_template_fields("service", "release")

    def __init__(self, *, service: str, release: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.release = release

    revocations = cached_property(RevocationGuard)

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the release to return to, a `ChosenRelease`.

        Raises:
            ConfigError: there is no such release, or it never succeeded.
            ImageError: its image is gone, or is not the service's.
            RevokedError: its image, or what that was baked on, was revoked.
        """
        config.load_service(self.service, self.environment)
        with reachable(self.hook):
            records = list(self.hook.records(self.environment.bucket, self.service))
        wanted = str(self.release or "").strip()
        if wanted:
            chosen = rollback.named(self.service, records, wanted, self.revocations.hook.launchable)
            why = f"{wanted} was requested"
        else:
            chosen, why = rollback.default(self.service, records, self._images(records), self._deployment())
        fields = chosen.model_dump(include=set(ChosenRelease.model_fields))
        result = ChosenRelease(**{**fields, "reused": True})
        self._check_image(result, records)
        # The nearest safe release is named and not taken: who requested a release did not request an older one.
        cannot = f"release {chosen.release_id} cannot be returned to"
        self.revocations.refuse(result.ami_id, cannot, service=self.service)
        self.log.info("returning to release %s, image %s: %s", chosen.release_id, chosen.ami_id, why)
        return result.model_dump(mode="json")

    def _images(self, records: Sequence[ReleaseRecord]) -> set[str]:
        """Return the images that the fleet of the newest release runs, or would launch next."""
        group_name = next((one.auto_scaling_group_name for one in rollback.successful(records)), "")
        if not group_name:
            return set()
        hook, autoscaling = InstanceHook(**self.connection), AutoScalingHook(**self.connection)
        group = autoscaling.group(group_name)
        ids = [one["InstanceId"] for one in group["Instances"] if not leaves_the_group(one)]
        template = group["LaunchTemplate"]
        next_one = hook.template_image(template["LaunchTemplateId"], template["Version"])
        return {next_one, *hook.images(ids).values()}

    def _deployment(self) -> str:
        """Return the deployment that holds the service's lease; empty if there is none."""
        now = lease.read(self.hook.s3, self.environment.bucket, self.service)
        is_deploying = now is not None and now.kind is RunKind.DEPLOY and now.is_open(datetime.now(UTC))
        return now.holder if now is not None and is_deploying else ""

    def _check_image(self, chosen: ChosenRelease, records: Sequence[ReleaseRecord]) -> None:
        hook = ImageHook(**self.connection)
        try:
            hook.ours(chosen.ami_id, tags.KIND_APP_IMAGE, self.service)
        except ImageError as error:
            launchable = self.revocations.hook.launchable() - {chosen.ami_id}
            others = [one.release_id for one in rollback.successful(records) if one.ami_id in launchable]
            raise ImageError(
                f"release {chosen.release_id} cannot be returned to: {error}. "
                f"Name another release, or deploy {chosen.version} anew, which bakes it again. "
                f"Releases of other images: {', '.join(others[:5]) or 'none'}"
            ) from error
