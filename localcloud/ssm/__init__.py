"""Systems Manager: moto's, with Run Command that really runs and the seed image's public parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Patch moto's Systems Manager."""
    from moto.ssm.models import ssm_backends
    from moto.ssm.responses import SimpleSystemManagerResponse

    from localcloud.ssm import responses
    from localcloud.ssm.models import LocalSSMBackend

    LocalSSMBackend.cloud = cloud
    ssm_backends.clear()
    ssm_backends.backend = LocalSSMBackend
    answers: Any = SimpleSystemManagerResponse
    answers.list_command_invocations = responses.list_command_invocations
    answers.describe_instance_information = responses.describe_instance_information
