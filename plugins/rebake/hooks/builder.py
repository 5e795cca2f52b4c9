"""What a killed bake leaves behind: builder instances, their volumes, key pairs and security groups."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import ClientError

from rebake import tags
from rebake.aws_errors import error_code

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

PACKER_PREFIX: Final = "packer_"
"""Packer names its temporary key pairs and security groups so. Nothing else is ever removed by name."""

TERMINATION_TIMEOUT: Final = 600
"""Seconds that a builder may take to terminate."""

_GROUP_ATTEMPTS: Final = 20

Orphans = Mapping[str, Sequence[str]]
"""Names by kind (`key_pair`, `security_group`), as a bake noted them while Packer told of them."""


class BuilderHook(AwsBaseHook):
    """Thick wrapper around `boto3.client("ec2")` for Packer's temporary resources.

    A resource is ours if it carries `rebake:kind=builder` and the run's `rebake:dag-run`, or if it is a
    `packer_...` key pair or security group that such an instance uses or that the run's bake has noted.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "ec2"
        super().__init__(*args, **kwargs)

    @property
    def ec2(self) -> EC2Client:
        """The typed client."""
        client: EC2Client = self.conn
        return client

    def sweep(
        self,
        run_tag: str,
        noted: Orphans,
        poll_seconds: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> list[str]:
        """Remove what a bake of the run left, wait until it is gone, and return what it was.

        Args:
            run_tag: value of `rebake:dag-run`.
            noted: names that the bake noted.
            poll_seconds: seconds between two looks at what terminates.
            sleep: how to wait; tests replace it.
        """
        builders = self._builders(run_tag)
        live = [builder["InstanceId"] for builder in builders if builder["State"]["Name"] != "terminated"]
        self._terminate(live, poll_seconds)
        volumes = self._delete_volumes(run_tag)
        groups = self._delete_groups(run_tag, builders, noted.get("security_group", ()), poll_seconds, sleep)
        keys = self._delete_keys(run_tag, builders, noted.get("key_pair", ()))
        return [*live, *volumes, *groups, *keys]

    def _builders(self, run_tag: str) -> list[dict[str, Any]]:
        # Terminated ones too: AWS shows them for an hour, and they still tell their key pair.
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
        return [name for name in names if _gone(partial(self.ec2.delete_volume, VolumeId=name))]

    def _delete_groups(
        self,
        run_tag: str,
        builders: list[dict[str, Any]],
        noted: Sequence[str],
        poll_seconds: float,
        sleep: Callable[[float], None],
    ) -> list[str]:
        used = {group["GroupId"] for builder in builders for group in builder.get("SecurityGroups", [])}
        pages = self.ec2.get_paginator("describe_security_groups").paginate(
            Filters=[{"Name": "group-name", "Values": [f"{PACKER_PREFIX}*"]}]
        )
        found = [dict(group) for page in pages for group in page["SecurityGroups"]]
        tagged = {group["GroupId"] for group in _of_run(found, run_tag)}
        ours = [group for group in found if group["GroupId"] in used | tagged or group["GroupName"] in noted]
        for group in ours:
            self._delete_group(str(group["GroupId"]), poll_seconds, sleep)
        return [str(group["GroupName"]) for group in ours]

    def _delete_group(self, group_id: str, poll_seconds: float, sleep: Callable[[float], None]) -> None:
        # EC2 lets go of a terminated instance's network interface a moment later: a few refusals are normal.
        for attempt in range(1, _GROUP_ATTEMPTS + 1):
            try:
                _gone(partial(self.ec2.delete_security_group, GroupId=group_id))
            except ClientError as error:
                if error_code(error) != "DependencyViolation" or attempt == _GROUP_ATTEMPTS:
                    raise
                sleep(min(poll_seconds, 5))
            else:
                return

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

_NOT_FOUND: Final = frozenset({"InvalidGroup.NotFound", "InvalidGroupId.NotFound", "InvalidVolume.NotFound"})


def _of_run(resources: Iterable[dict[str, Any]], run_tag: str) -> list[dict[str, Any]]:
    # Compared here and not by a filter, because EC2's filters read * and ? in a run id as wildcards.
    wanted = {(tags.KIND, tags.KIND_BUILDER), (tags.DAG_RUN, run_tag)}
    return [one for one in resources if wanted <= {(tag["Key"], tag["Value"]) for tag in one.get("Tags", [])}]


def _gone(delete: Callable[[], object]) -> bool:
    """Delete something; return False where it was gone already."""
    try:
        delete()
    except ClientError as error:
        if error_code(error) in _NOT_FOUND:
            return False
        raise
    return True
