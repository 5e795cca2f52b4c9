"""Which actions the pipeline's policies allow, by name, and which one a request needs.

Conditions and resources are the business of `infrastructure/pipeline/tests`; here it counts that nothing was forgotten.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

_ACTIONS: Final = re.compile(r"^ +Action +=\s*\[(.*?)\]", re.MULTILINE | re.DOTALL)
_PREFIXES: Final = {"monitoring": "cloudwatch", "elbv2": "elasticloadbalancing"}
"""Services whose requests are signed for, or whose clients are called, another name than in a policy."""
_S3: Final = {
    "CompleteMultipartUpload": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "UploadPart": "PutObject",
}
"""Operations of S3 that need the permission for another."""
_FREE: Final = frozenset({"sts:GetCallerIdentity"})
"""What needs no permission."""


def allowed(project: Path) -> frozenset[str]:
    """Return the actions in the pipeline's policies; some end in a wildcard."""
    files = (project / "infrastructure" / "pipeline").glob("policy_*.tf")
    lists = [found for file in files for found in _ACTIONS.findall(file.read_text(encoding="utf-8"))]
    return frozenset(action for found in lists for action in re.findall(r'"([^"]+)"', found))


def action_of(service: str, operation: str) -> str:
    """Return the action that a request needs, such as `s3:ListBucket`.

    Args:
        service: as requests are signed for it, or as boto3 calls it.
        operation: AWS's name of what is requested.
    """
    return f"{_PREFIXES.get(service, service)}:{_S3.get(operation, operation) if service == 's3' else operation}"


def missing(needed: Iterable[str], granted: Iterable[str]) -> list[str]:
    """Return the actions that no policy allows, sorted."""
    patterns = [*granted, *_FREE]
    return sorted({action for action in needed if not any(fnmatchcase(action, pattern) for pattern in patterns)})
