"""What a killed bake leaves behind: builder instances, their volumes, key pairs and security groups."""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from rebake import tags
from rebake.aws_errors import deleted
from rebake.hooks.ec2 import Ec2ClientHook

PACKER_PREFIX: Final = "packer_"
"""Packer names its temporary key pairs and security groups so. Nothing else is ever removed by name."""

TERMINATION_TIMEOUT: Final = 600
"""Seconds that a builder may take to terminate."""

Orphans = Mapping[str, Sequence[str]]
"""Names by kind (`key_pair`, `security_group`), noted by a bake when Packer printed them."""


class BuilderHook(Ec2ClientHook):
    """Thick wrapper around `boto3.client("ec2")` for Packer's temporary resources.

    A resource is ours if it carries `rebake:kind=builder` and the run's `rebake:dag-run`, or if it is a
    `packer_...` key pair or security group that such an instance uses or that the run's bake has noted.
    """

    def sweep(self, run_tag: str, noted: Orphans, poll_seconds: float) -> list[str]:
        """Remove what a bake of the run left, wait until it is gone, and return what it was.

        Args:
            run_tag: value of `rebake:dag-run`.
            noted: names that the bake noted.
            poll_seconds: seconds between two calls of DescribeInstances while builders terminate.
        """
        builders = self._builders(run_tag)
        live = [builder["InstanceId"] for builder in builders if builder["State"]["Name"] != "terminated"]
        self._terminate(live, poll_seconds)
        volumes = self._delete_volumes(run_tag)
        groups = self._delete_groups(run_tag, builders, noted.get("security_group", ()), poll_seconds)
        keys = self._delete_keys(run_tag, builders, noted.get("key_pair", ()))
        return [*live, *volumes, *groups, *keys]

    def _builders(self, run_tag: str) -> list[dict[str, Any]]:
        # Terminated ones too: AWS shows them for an hour, with their key pair.
        pages = self.ec2.get_paginator("describe_instances").paginate(Filters=_KIND)
        found = [dict(instance) for page in pages for group in page["Reservations"] for instance in group["Instances"]]
        return _of_run(found, run_tag)

    def _terminate(self, instance_ids: list[str], poll_seconds: float) -> None:
        if not instance_ids:
            return
        self.ec2.terminate_instances(InstanceIds=instance_ids)
        attempts = max(1, int(TERMINATION_TIMEOUT / poll_seconds))
        self.ec2.get_waiter("instance_terminated").wait(
            InstanceIds=instance_ids,
            WaiterConfig={"Delay": poll_seconds, "MaxAttempts": attempts},  # type: ignore[typeddict-item]
        )

    def _delete_volumes(self, run_tag: str) -> list[str]:
        pages = self.ec2.get_paginator("describe_volumes").paginate(
            Filters=[*_KIND, {"Name": "status", "Values": ["available"]}]
        )
        found = [dict(volume) for page in pages for volume in page["Volumes"]]
        names = [str(volume["VolumeId"]) for volume in _of_run(found, run_tag)]
        return [name for name in names if deleted(partial(self.ec2.delete_volume, VolumeId=name))]

    def _delete_groups(
        self, run_tag: str, builders: list[dict[str, Any]], noted: Sequence[str], poll_seconds: float
    ) -> list[str]:
        used = {group["GroupId"] for builder in builders for group in builder.get("SecurityGroups", [])}
        pages = self.ec2.get_paginator("describe_security_groups").paginate(
            Filters=[{"Name": "group-name", "Values": [f"{PACKER_PREFIX}*"]}]
        )
        found = [dict(group) for page in pages for group in page["SecurityGroups"]]
        tagged = {group["GroupId"] for group in _of_run(found, run_tag)}
        ours = [group for group in found if group["GroupId"] in used | tagged or group["GroupName"] in noted]
        for group in ours:
            self.delete_security_group(str(group["GroupId"]), poll_seconds=poll_seconds)
        return [str(group["GroupName"]) for group in ours]

    def _delete_keys(self, run_tag: str, builders: list[dict[str, Any]], noted: Sequence[str]) -> list[str]:
        used = {builder.get("KeyName") for builder in builders}
        found = [
            dict(key)
            for key in self.ec2.describe_key_pairs(
                Filters=[{"Name": "key-name", "Values": [f"{PACKER_PREFIX}*"]}],
            )["KeyPairs"]
        ]
        tagged = {key["KeyName"] for key in _of_run(found, run_tag)}
        ours = sorted(str(key["KeyName"]) for key in found if key["KeyName"] in used | tagged | set(noted))
        for name in ours:
            self.ec2.delete_key_pair(KeyName=name)
        return ours


_KIND: Final[list[Any]] = [{"Name": f"tag:{tags.KIND}", "Values": [tags.KIND_BUILDER]}]


def _of_run(resources: Iterable[dict[str, Any]], run_tag: str) -> list[dict[str, Any]]:
    # Compared here and not by a filter, because EC2's filters read * and ? in a run id as wildcards.
    wanted = {tags.KIND: tags.KIND_BUILDER, tags.DAG_RUN: run_tag}
    return [one for one in resources if wanted.items() <= tags.read(one).items()]
