"""Systems Manager: moto's, with Run Command that really runs, and parameters as strict as AWS's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.cloud import Cloud


def install(cloud: Cloud) -> None:
    """Patch moto's Systems Manager."""
    from moto.ssm.models import ssm_backends
    from moto.ssm.responses import SimpleSystemManagerResponse

    from localcloud.adoption import adopt, answer_with
    from localcloud.ssm import responses
    from localcloud.ssm.models import LocalSSMBackend
    from localcloud.ssm.parameters import ParameterStore

    ParameterStore.cloud = cloud
    adopt(ssm_backends, LocalSSMBackend)
    answer_with(responses, SimpleSystemManagerResponse, "ssm")
