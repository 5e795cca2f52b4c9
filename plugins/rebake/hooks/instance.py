"""Temporary instances: launched, found again and removed by the tag of the Airflow run that needs them."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from rebake import tags
from rebake.aws_errors import deleted, error_code, retry_transient
from rebake.exceptions import ImageError
from rebake.hooks.ec2 import Ec2ClientHook
from rebake.hooks.image import UNKNOWN
from rebake.hooks.limits import FILTER_VALUES, batches

LIVE_STATES: Final = ("pending", "running", "stopping", "stopped", "shutting-down")
"""States of an instance that still holds its network interface and so its security group."""
USABLE_STATES: Final = ("pending", "running")
GONE_STATES: Final = ("shutting-down", "terminated", "stopping", "stopped")
"""States that a probe never leaves for `running`: EC2 terminates it when it shuts down."""


class InstanceHook(Ec2ClientHook):
    """Thick wrapper around `boto3.client("ec2")` for probes: the temporary instances that images are tested on.

    Nothing without the tags `rebake:kind=probe` and `rebake:dag-run=<the run>` is ever changed.
    """

    @cached_property
    def waiter_path(self) -> Path:
        """Our waiters; the base class finds only the provider's own."""
        return Path(__file__).parents[1] / "waiters" / "ec2.json"

    def find_probes(self, run_tag: str) -> list[dict[str, Any]]:
        """Return the run's probes that are not terminated yet, newest first (EC2, DescribeInstances)."""
        pages = self.ec2.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": f"tag:{tags.KIND}", "Values": [tags.KIND_PROBE]},
                {"Name": "instance-state-name", "Values": list(LIVE_STATES)},
            ]
        )
        found: list[dict[str, Any]] = [
            dict(instance) for page in pages for group in page["Reservations"] for instance in group["Instances"]
        ]
        # Compared here and not by a filter, because EC2's filters read * and ? in a run id as wildcards.
        ours = [instance for instance in found if tags.read(instance).get(tags.DAG_RUN) == run_tag]
        return sorted(ours, key=lambda instance: str(instance.get("LaunchTime", "")), reverse=True)

    def find_probe_groups(self, run_tag: str) -> list[str]:
        """Return the ids of the run's security groups (EC2, DescribeSecurityGroups)."""
        pages = self.ec2.get_paginator("describe_security_groups").paginate(
            Filters=[{"Name": f"tag:{tags.KIND}", "Values": [tags.KIND_PROBE]}]
        )
        groups: list[dict[str, Any]] = [dict(group) for page in pages for group in page["SecurityGroups"]]
        return [str(group["GroupId"]) for group in groups if tags.read(group).get(tags.DAG_RUN) == run_tag]

    def ensure_probe_group(
        self, run_tag: str, service: str, environment: str, vpc_id: str, port: int | None, cidrs: Sequence[str]
    ) -> str:
        """Return the security group of the run's probe, made if it is missing.

        Args:
            run_tag: value of `rebake:dag-run`.
            service: value of `rebake:service`.
            environment: value of `rebake:environment`.
            vpc_id: where to make it; empty for the default VPC.
            port: the one port that is opened; none for a base image, which serves nothing.
            cidrs: from where the port is opened.
        """
        group_id = next(iter(self.find_probe_groups(run_tag)), "")
        if not group_id:
            placement: dict[str, Any] = {"VpcId": vpc_id} if vpc_id else {}
            made: Any = {"Key": tags.CREATED_AT, "Value": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"}
            group_id = self.ec2.create_security_group(
                GroupName=f"rebake-probe-{_digest(run_tag)[:16]}",
                Description="Temporary instance that tests an image: removed with it",
                TagSpecifications=[
                    {"ResourceType": "security-group", "Tags": [made, *_tags(run_tag, service, environment)]}
                ],
                **placement,
            )["GroupId"]
        if port is not None:
            self._open(group_id, port, cidrs)
        return group_id

    def _open(self, group_id: str, port: int, cidrs: Sequence[str]) -> None:
        for cidr in cidrs:
            try:
                self.ec2.authorize_security_group_ingress(
                    GroupId=group_id,
                    IpPermissions=[
                        {
                            "IpProtocol": "tcp",
                            "FromPort": port,
                            "ToPort": port,
                            "IpRanges": [{"CidrIp": cidr, "Description": "The pipeline's checks"}],
                        }
                    ],
                )
            except ClientError as error:
                # An earlier try was killed after it had opened the port.
                if error_code(error) != "InvalidPermission.Duplicate":
                    raise

    def launch_probe(
        self,
        run_tag: str,
        service: str,
        environment: str,
        *,
        ami_id: str,
        instance_type: str,
        group_id: str,
        subnet_id: str,
        instance_profile: str,
        token: str,
        lifetime: int,
    ) -> str:
        """Launch the run's probe and return its id (EC2, RunInstances).

        Args:
            run_tag: value of `rebake:dag-run`.
            service: value of `rebake:service`.
            environment: value of `rebake:environment`.
            ami_id: the image under test.
            instance_type: such as `t3.micro`.
            group_id: the only security group.
            subnet_id: empty for AWS's choice in the default VPC.
            instance_profile: name; empty for none.
            token: makes a repeated request launch once; the same for all requests of one try of the task.
            lifetime: seconds after which the instance ends itself, should the pipeline be gone by then.

        Raises:
            ImageError: AWS does not know the image or cannot use it.
        """
        # The image is tested as it is, so this is all the user data. With the shutdown behaviour below it terminates
        # the instance even when the pipeline is gone.
        end_itself = f"#!/bin/sh\nsystemd-run --on-active={lifetime} systemctl poweroff\n"
        optional: dict[str, Any] = {"SubnetId": subnet_id} if subnet_id else {}
        if instance_profile:
            optional["IamInstanceProfile"] = {"Name": instance_profile}
        try:
            answer = self.ec2.run_instances(
                ImageId=ami_id,
                InstanceType=instance_type,  # type: ignore[arg-type]
                MinCount=1,
                MaxCount=1,
                ClientToken=_digest(f"{run_tag} {ami_id} {token}"),
                InstanceInitiatedShutdownBehavior="terminate",
                MetadataOptions={"HttpTokens": "required", "HttpEndpoint": "enabled"},
                SecurityGroupIds=[group_id],
                UserData=end_itself,
                TagSpecifications=[
                    {
                        "ResourceType": "instance",
                        "Tags": [
                            {"Key": "Name", "Value": f"rebake probe {service}"},
                            *_tags(run_tag, service, environment),
                        ],
                    },
                    {"ResourceType": "volume", "Tags": _tags(run_tag, service, environment)},
                ],
                **optional,
            )
        except ClientError as error:
            if error_code(error) in UNKNOWN:
                raise ImageError(f"image {ami_id} of {service} cannot be launched: {error}") from error
            raise
        return str(answer["Instances"][0]["InstanceId"])

    @retry_transient
    def template_image(self, launch_template_id: str, version: str) -> str:
        """Return the image that a launch template's version names (EC2, DescribeLaunchTemplateVersions)."""
        answer = self.ec2.describe_launch_template_versions(LaunchTemplateId=launch_template_id, Versions=[version])
        return answer["LaunchTemplateVersions"][0]["LaunchTemplateData"].get("ImageId", "(none)")

    @retry_transient
    def images(self, instance_ids: Sequence[str]) -> dict[str, str]:
        """Return the image that each instance runs (EC2, DescribeInstances); one that is gone is left out."""
        paginator = self.ec2.get_paginator("describe_instances")
        return {
            str(one["InstanceId"]): str(one["ImageId"])
            for batch in batches(instance_ids, FILTER_VALUES)
            # By a filter: EC2 rejects a list of ids with one that it does not know any more.
            for page in paginator.paginate(Filters=[{"Name": "instance-id", "Values": batch}])
            for reservation in page["Reservations"]
            for one in reservation["Instances"]
        }

    def tag_image(self, ami_id: str, labels: Mapping[str, str]) -> None:
        """Set tags on an image (EC2, CreateTags)."""
        self.ec2.create_tags(Resources=[ami_id], Tags=[{"Key": key, "Value": value} for key, value in labels.items()])

    def terminate(self, instance_ids: Sequence[str]) -> None:
        """Terminate probes; one that is gone already is no error (EC2, TerminateInstances)."""
        for instance_id in instance_ids:  # one by one: EC2 rejects a whole list for a single unknown id
            deleted(partial(self.ec2.terminate_instances, InstanceIds=[instance_id]))

    def wait_terminated(self, instance_ids: Sequence[str], poll_seconds: float, timeout: float) -> None:
        """Wait until the instances are terminated, holding the worker: only for the clean-up of a failed launch."""
        if instance_ids:
            self.get_waiter("instances_terminated").wait(
                InstanceIds=list(instance_ids),
                WaiterConfig={"Delay": poll_seconds, "MaxAttempts": max(1, int(timeout / poll_seconds))},
            )

    def delete_probe_groups(self, run_tag: str, poll_seconds: float) -> list[str]:
        """Delete the run's security groups and return their ids (EC2, DeleteSecurityGroup)."""
        group_ids = self.find_probe_groups(run_tag)
        for group_id in group_ids:
            self.delete_security_group(group_id, poll_seconds=poll_seconds)
        return group_ids


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _tags(run_tag: str, service: str, environment: str) -> list[Any]:
    named = {
        tags.KIND: tags.KIND_PROBE,
        tags.SERVICE: service,
        tags.ENVIRONMENT: environment,
        tags.DAG_RUN: run_tag,
    }
    return [{"Key": key, "Value": value} for key, value in named.items()]
