"""Rolling an image out to a fleet: adopt the refresh to it, find nothing to do, or start one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from rebake.aws_errors import error_code
from rebake.config import Service
from rebake.exceptions import RolloutFailedError
from rebake.hooks.autoscaling import AutoScalingHook
from rebake.hooks.instance import InstanceHook
from rebake.release.results import RefreshResult
from rebake.rollout.refresh import (
    SUCCESS_STATES,
    Version,
    active_refresh,
    adopt,
    desired_template,
    is_rolled_out,
    leaves_the_group,
    preferences,
)


@dataclass(frozen=True)
class Rollout:
    """One fleet that is to run one image.

    Args:
        autoscaling: the groups.
        instances: the instances and launch templates.
        service: the service, with its preferences.
        group_name: the Auto Scaling group.
        wanted: the launch template version that holds the image.
        ami_id: the image.
        by_image: whether to keep an instance that runs the image with another launch template version. A rollback does:
            Terraform has just made a new version of an old image.
        requested_at: when the run was requested; refreshes that began later are its own.
        log: the stage's.
    """

    autoscaling: AutoScalingHook
    instances: InstanceHook
    service: Service
    group_name: str
    wanted: Version
    ami_id: str
    by_image: bool
    requested_at: datetime
    log: Any

    def begin(self) -> RefreshResult:
        """Return the refresh to wait for.

        Every request is retried while AWS throttles. If a refresh was started but the answer was lost, the retry finds
        and adopts it.

        Raises:
            RolloutFailedError: the version does not hold the image, a refresh to something else is active, or AWS
                started none although instances differ.
        """
        self._check_version()
        group = self.autoscaling.group(self.group_name)
        wanted = self._returned_to(group) if self.by_image else self.wanted
        serving = [one for one in group["Instances"] if not leaves_the_group(one)]
        replaced = tuple(sorted(one["InstanceId"] for one in serving if not wanted.matches(one.get("LaunchTemplate"))))
        refreshes = self.autoscaling.refreshes(self.group_name)
        active = active_refresh(refreshes)
        if active:
            refresh_id = adopt(active, wanted, self.group_name)
            self.log.info("instance refresh %s already goes to %s", refresh_id, wanted)
            return self._result(refresh_id, wanted.number, replaced)
        if is_rolled_out(group, wanted):
            finished = self._finished_by_this_run(refreshes, wanted)
            if not finished:
                self.log.info("every instance of %s already runs %s: nothing to do", self.group_name, wanted)
            return self._result(finished, wanted.number, replaced)
        if self.by_image and self.runs_the_image(group):
            self.log.info("every instance of %s already runs %s: nothing to do", self.group_name, self.ami_id)
            return self._result("", "", ())
        self._warn(group)
        return self._result(self._start(wanted), wanted.number, replaced)

    @staticmethod
    def _result(refresh_id: str, number: str, replaced: tuple[str, ...]) -> RefreshResult:
        return RefreshResult(refresh_id=refresh_id, launch_template_version=number, instances_before=replaced)

    def runs_the_image(self, group: Mapping[str, Any]) -> bool:
        """Return whether every instance of the group runs the image, and the next would."""
        specification = group.get("LaunchTemplate") or {}
        if self._image_of(specification) != self.ami_id:
            return False
        ids = [one["InstanceId"] for one in group["Instances"] if not leaves_the_group(one)]
        return set(self.instances.images(ids).values()) <= {self.ami_id}

    def _check_version(self) -> None:
        """Make sure that the version is a number and holds the image that was tested."""
        if not self.wanted.number.isdecimal():
            raise RolloutFailedError(
                f"launch template version {self.wanted.number!r} is not a number: AWS cannot roll back from it"
            )
        image = self.instances.template_image(self.wanted.launch_template_id, self.wanted.number)
        if image != self.ami_id:
            raise RolloutFailedError(
                f"{self.wanted} holds image {image}, not {self.ami_id}: was Terraform applied for another?"
            )

    def _returned_to(self, group: Mapping[str, Any]) -> Version:
        """Return the version that the group points at, if it holds the image: then fewer instances are replaced."""
        specification = group.get("LaunchTemplate") or {}
        if self._image_of(specification) != self.ami_id:
            return self.wanted
        return Version(specification["LaunchTemplateId"], specification["Version"])

    def _image_of(self, specification: Mapping[str, Any]) -> str:
        template, number = specification.get("LaunchTemplateId"), str(specification.get("Version", ""))
        if not template or not number.isdecimal():
            return ""
        return self.instances.template_image(template, number)

    def _warn(self, group: Mapping[str, Any]) -> None:
        """Log what the service's file allows AWS to do to this fleet."""
        desired, rollout = group["DesiredCapacity"], self.service.rollout
        dip = rollout.dip(desired)
        if dip:
            self.log.warning("%s", dip)
        seconds, how = rollout.shortest(desired, self.service.fleet.deregistration_delay)
        if seconds >= rollout.timeout:
            self.log.warning(
                "rollout.timeout is %d s, but a rollout to %d instances takes %d s at least: %s",
                rollout.timeout,
                desired,
                seconds,
                how,
            )

    def _start(self, wanted: Version) -> str:
        chosen = preferences(self.service.rollout)
        try:
            refresh_id = self.autoscaling.start_refresh(self.group_name, wanted, chosen)
        except ClientError as error:
            if error_code(error) != "InstanceRefreshInProgress":
                raise
            # Another refresh began just before ours: adopt it if it goes to the same version.
            active = active_refresh(self.autoscaling.refreshes(self.group_name))
            if active is None:
                raise
            return adopt(active, wanted, self.group_name)
        if not refresh_id:
            raise RolloutFailedError(f"AWS named no instance refresh, but instances of {self.group_name} differ")
        self.log.info("started instance refresh %s of %s to %s with %s", refresh_id, self.group_name, wanted, chosen)
        return refresh_id

    def _finished_by_this_run(self, refreshes: Sequence[Mapping[str, Any]], wanted: Version) -> str:
        """Return the successful refresh of an earlier try of this run; empty if there is none.

        One run at a time holds the service's lease, so a refresh that began after the run was requested is its own.
        """
        for refresh in refreshes:
            ours = wanted.matches(desired_template(refresh)) and refresh["Status"] in SUCCESS_STATES
            if ours and refresh.get("StartTime", datetime.min.replace(tzinfo=UTC)) >= self.requested_at:
                refresh_id: str = refresh["InstanceRefreshId"]
                self.log.info("instance refresh %s of an earlier try has succeeded", refresh_id)
                return refresh_id
        return ""
