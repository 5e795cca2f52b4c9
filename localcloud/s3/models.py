"""moto's S3 backend, whose buckets begin as AWS's do."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3.exceptions import InvalidBucketName, NoSuchPublicAccessBlockConfiguration, NoSuchUpload
from moto.s3.models import FakeBucket, FakeKey, PublicAccessBlock, S3Backend
from moto.s3.utils import bucket_policy_is_public

from localcloud.s3 import exceptions

OWNER_ENFORCED: Final = "BucketOwnerEnforced"
_NAME: Final = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-|.*\.\.|\d+\.\d+\.\d+\.\d+$)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SUFFIXES: Final = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


class LocalBucket(FakeBucket):
    """A bucket."""

    def get_permission(self, action: str, resource: str) -> PermissionResult:
        """Evaluate the policy's unconditional statements alone: moto would take all for such."""
        if self.policy is None:
            return PermissionResult.NEUTRAL
        policy = json.loads(self.policy)
        policy["Statement"] = [each for each in _statements(policy) if "Condition" not in each]
        return IAMPolicy(json.dumps(policy)).is_action_permitted(action, resource)


class LocalS3Backend(S3Backend):
    """S3 of one account."""

    def create_bucket(self, bucket_name: str, region_name: str, bucket_namespace: str | None = None) -> FakeBucket:
        """Make a bucket, which is encrypted, closed to the public, and without ACLs."""
        if not _NAME.fullmatch(bucket_name) or bucket_name.endswith(_SUFFIXES):
            raise InvalidBucketName
        bucket = super().create_bucket(bucket_name, region_name, bucket_namespace)
        bucket.public_access_block = PublicAccessBlock(True, True, True, True)
        bucket.ownership_rule = OWNER_ENFORCED  # type: ignore[assignment] # moto has a string there, too
        self.delete_bucket_encryption(bucket_name)
        return bucket

    def delete_bucket_encryption(self, bucket_name: str) -> None:
        """Go back to the encryption that every bucket has."""
        default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}
        self.get_bucket(bucket_name).encryption = {"Rule": default}

    def upload_part(self, bucket_name: str, multipart_id: str, part_id: int, value: bytes) -> FakeKey:
        """Keep a part of an upload that goes on."""
        self._require_upload(bucket_name, multipart_id)
        return super().upload_part(bucket_name, multipart_id, part_id, value)

    def complete_multipart_upload(
        self, bucket_name: str, multipart_id: str, body: Iterator[tuple[int, str]]
    ) -> FakeKey | None:
        """Make the object of an upload that goes on."""
        self._require_upload(bucket_name, multipart_id)
        return super().complete_multipart_upload(bucket_name, multipart_id, body)

    def _require_upload(self, bucket_name: str, upload_id: str) -> None:
        """Make sure that an upload goes on."""
        if upload_id not in self.get_bucket(bucket_name).multiparts:
            raise NoSuchUpload(upload_id=upload_id)

    def put_bucket_policy(self, bucket_name: str, policy: bytes) -> None:
        """Set the bucket's policy."""
        _require_policy(policy)
        try:
            blocks = self.get_public_access_block(bucket_name).block_public_policy
        except NoSuchPublicAccessBlockConfiguration:
            blocks = False
        if blocks and bucket_policy_is_public(policy):
            raise exceptions.access_denied(
                "User is not authorized to perform: s3:PutBucketPolicy because public policies are prevented by the "
                "BlockPublicPolicy setting in S3 Block Public Access."
            )
        super().put_bucket_policy(bucket_name, policy)


def _require_policy(text: bytes) -> None:
    """Make sure that a text has a bucket policy's parts."""
    try:
        policy: Any = json.loads(text)
    except ValueError:
        raise exceptions.malformed_policy("This policy contains invalid Json") from None
    statements = _statements(policy) if isinstance(policy, dict) else []
    if not statements or not all(isinstance(statement, dict) for statement in statements):
        raise exceptions.malformed_policy("Missing required field Statement")
    for statement in statements:
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise exceptions.malformed_policy("Invalid effect")
        for name in ("Principal", "Action", "Resource"):
            if not statement.keys() & {name, f"Not{name}"}:
                raise exceptions.malformed_policy(f"Missing required field {name}")


def _statements(policy: dict[str, Any]) -> list[Any]:
    found = policy.get("Statement") or []
    return found if isinstance(found, list) else [found]
