"""Systems Manager: moto's, with Run Command that really runs and the seed image's public parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

SEED_PARAMETER = "/aws/service/debian/release/12/latest/amd64"
"""Where Debian publishes the id of its newest AMI."""


def install(cloud: Cloud) -> None:
    """Patch moto's Systems Manager; EC2 must be installed before, for the seed image's id is published here."""
    from moto.ssm.models import ssm_backends
    from moto.ssm.responses import SimpleSystemManagerResponse

    from localcloud.ec2.models import SEED_IMAGE_NAME
    from localcloud.ssm import responses
    from localcloud.ssm.models import LocalSSMBackend

    LocalSSMBackend.cloud = cloud
    ssm_backends.clear()
    ssm_backends.backend = LocalSSMBackend
    answers: Any = SimpleSystemManagerResponse
    answers.list_command_invocations = responses.list_command_invocations
    answers.describe_instance_information = responses.describe_instance_information
    seed = cloud.ec2.describe_images(filters={"name": [SEED_IMAGE_NAME]})[0]
    cloud.ssm.publish(SEED_PARAMETER, seed.id)
