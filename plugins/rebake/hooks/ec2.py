"""What the hooks of EC2 have in common: the typed client, and the removal of a security group."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import tenacity
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from rebake.aws_errors import deleted, error_code

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


class Ec2ClientHook(AwsBaseHook):
    """Base of the hooks around `boto3.client("ec2")`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "ec2"
        super().__init__(*args, **kwargs)

    @property
    def ec2(self) -> EC2Client:
        """The typed client."""
        client: EC2Client = self.conn
        return client

    @property
    def connection(self) -> dict[str, Any]:
        """The arguments that make another hook of the same connection."""
        return {"aws_conn_id": self.aws_conn_id, "region_name": self.region_name}

    def delete_security_group(self, group_id: str, *, poll_seconds: float = 5, attempts: int = 20) -> None:
        """Delete a security group; one that is gone already is no error (EC2, DeleteSecurityGroup).

        EC2 detaches the network interface of a terminated instance a moment later, so DependencyViolation is retried.

        Args:
            group_id: the group.
            poll_seconds: seconds between two attempts, 5 at most.
            attempts: how often to try; 1 for a group that nothing is known to have used.
        """
        tenacity.Retrying(
            retry=tenacity.retry_if_exception(lambda error: error_code(error) == "DependencyViolation"),
            wait=tenacity.wait_fixed(min(poll_seconds, 5)),
            stop=tenacity.stop_after_attempt(attempts),
            reraise=True,
        )(deleted, partial(self.ec2.delete_security_group, GroupId=group_id))
