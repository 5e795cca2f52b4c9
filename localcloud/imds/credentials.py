"""Credentials of the role in an instance's profile."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from moto.core.utils import utcnow
from moto.sts.models import sts_backends

if TYPE_CHECKING:
    from localcloud.ec2.instances import LocalInstance

SECONDS = 6 * 3600
_RENEWED_BEFORE = timedelta(minutes=10)
_STAMP = "%Y-%m-%dT%H:%M:%SZ"
_given: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def credentials_of(instance: LocalInstance) -> dict[str, str]:
    """Return temporary credentials, as the service writes them; the same until they are about to expire."""
    backend: Any = instance.ec2_backend
    (role, *_) = backend.iam_instance_profile_associations[instance.id].iam_instance_profile.roles
    assumed = _given.get(instance)
    if assumed is None or assumed.role_arn != role.arn or assumed.expiration - utcnow() < _RENEWED_BEFORE:
        sts = sts_backends[instance.owner_id]["aws"]
        assumed = _given[instance] = sts.assume_role(backend.region_name, instance.id, role.arn, "", SECONDS, "")
    return {
        "Code": "Success",
        "LastUpdated": (assumed.expiration - timedelta(seconds=SECONDS)).strftime(_STAMP),
        "Type": "AWS-HMAC",
        "AccessKeyId": assumed.access_key_id,
        "SecretAccessKey": assumed.secret_access_key,
        "Token": assumed.session_token,
        "Expiration": assumed.expiration.strftime(_STAMP),
    }
