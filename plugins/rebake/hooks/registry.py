"""The registry of images: one SSM parameter a channel, see `rebake.image.channels`.

Parameter Store has no conditional write: of two writers the later wins, and neither notices. So a run holds the
service's lease (`rebake.release.lease`), which S3 grants conditionally, while it moves the service's channels. One DAG
alone moves the channels of base families, one run at a time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from botocore.exceptions import ClientError

from rebake.aws_errors import error_code, retry_transient
from rebake.estate.inventory import Channel
from rebake.exceptions import ImageError
from rebake.hooks.limits import PARAMETER_NAMES, batches
from rebake.image.channels import CHANNELS, CURRENT, PREVIOUS, ROOT, parameter_name

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

DATA_TYPE: Final = "aws:ec2:image"
"""Makes Parameter Store check that the value is an image of this account and region."""
_READS: Final = 60
"""How often a new value is read back before it counts as refused."""


@dataclass(frozen=True)
class Pointer:
    """What a channel points at, and the parameter's version."""

    ami_id: str
    version: int


class RegistryHook(AwsBaseHook):
    """Thick wrapper around `boto3.client("ssm")` for the channels' parameters."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "ssm"
        super().__init__(*args, **kwargs)

    @property
    def ssm(self) -> SSMClient:
        """The typed client."""
        client: SSMClient = self.conn
        return client

    @retry_transient
    def read(self, name: str, channel: str) -> Pointer | None:
        """Return what the channel points at; none if it was never set (GetParameter).

        Args:
            name: such as `/rebake/webapp` or `/rebake/bases/debian-12`.
            channel: one of `CHANNELS`.
        """
        try:
            found = self.ssm.get_parameter(Name=parameter_name(name, channel))["Parameter"]
        except ClientError as error:
            if error_code(error) == "ParameterNotFound":
                return None
            raise
        return Pointer(found["Value"], found["Version"])

    def point(
        self, name: str, channel: str, ami_id: str, *, poll_seconds: float, labels: Mapping[str, str] | None = None
    ) -> int:
        """Point the channel at an image and return the parameter's version (PutParameter).

        Nothing is written when it points there already, so a retry makes no new version. AWS checks the image only
        after it has answered, and drops a value that it refuses: so the value is read back.

        Args:
            name: such as `/rebake/webapp`.
            channel: one of `CHANNELS`.
            ami_id: the image.
            poll_seconds: seconds between two reads.
            labels: tags, set when the parameter is made.

        Raises:
            ImageError: AWS refused the value: no such image in this account and region.
        """
        before = self.read(name, channel)
        if before and before.ami_id == ami_id:
            return before.version
        target = parameter_name(name, channel)
        if before is None:
            # Tags and Overwrite exclude each other in one request.
            self.ssm.put_parameter(
                Name=target,
                Value=ami_id,
                Type="String",
                DataType=DATA_TYPE,
                Description=f"Rebake: the {channel} image",
                Tags=[{"Key": key, "Value": value} for key, value in (labels or {}).items()],
            )
        else:
            self.ssm.put_parameter(Name=target, Value=ami_id, Type="String", DataType=DATA_TYPE, Overwrite=True)
        for attempt in range(_READS):
            if attempt:
                time.sleep(min(poll_seconds, 2, 0.25 * 2**attempt))
            now = self.read(name, channel)
            if now and now.ami_id == ami_id:
                return now.version
        raise ImageError(
            f"Parameter Store did not accept {ami_id} for {target}: is it an image of this account and region?"
        )

    def channels(self, name: str) -> dict[str, str | None]:
        """Return the image that each channel points at; none where it was never set (GetParameter)."""
        pointers = {channel: self.read(name, channel) for channel in CHANNELS}
        return {channel: pointer.ami_id if pointer else None for channel, pointer in pointers.items()}

    @retry_transient
    def everything(self) -> list[Channel]:
        """Return every channel of every service and base family (GetParametersByPath)."""
        pages = self.ssm.get_paginator("get_parameters_by_path").paginate(Path=ROOT, Recursive=True)
        found = [_channel(dict(one)) for page in pages for one in page["Parameters"]]
        return [one for one in found if one.channel in CHANNELS]

    @retry_transient
    def at_names(self, names: Iterable[str]) -> list[Channel]:
        """Return the channels that are set below some names, such as `/rebake/webapp` (GetParameters)."""
        wanted = [parameter_name(name, channel) for name in sorted(set(names)) for channel in CHANNELS]
        answers = (self.ssm.get_parameters(Names=batch) for batch in batches(wanted, PARAMETER_NAMES))
        return [_channel(dict(one)) for answer in answers for one in answer["Parameters"]]

    def release(self, name: str, ami_id: str, *, poll_seconds: float, labels: Mapping[str, str] | None = None) -> None:
        """Move `current` to the image, and `previous` to where `current` was.

        Safe to repeat at any point: `previous` moves first, and once `current` has moved nothing moves again.
        """
        before = self.read(name, CURRENT)
        if before and before.ami_id == ami_id:
            return
        if before:
            self.point(name, PREVIOUS, before.ami_id, poll_seconds=poll_seconds, labels=labels)
        self.point(name, CURRENT, ami_id, poll_seconds=poll_seconds, labels=labels)


def moved(channels: Mapping[str, str | None], ami_id: str) -> dict[str, str | None]:
    """Return where the channels point after `RegistryHook.release` of an image."""
    if channels[CURRENT] == ami_id:
        return dict(channels)
    return {**channels, CURRENT: ami_id, PREVIOUS: channels[CURRENT]}


def _channel(found: Mapping[str, Any]) -> Channel:
    name, _, channel = found["Name"].rpartition("/")
    return Channel(name, channel, found["Value"])
