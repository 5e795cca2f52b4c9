"""Errors of S3 that moto does not raise, with AWS's codes and texts."""

from functools import partial

from moto.s3.exceptions import S3ClientError

from localcloud.exceptions import refusal

_error = partial(refusal, S3ClientError)

bad_digest = _error("BadDigest", "The {} you specified did not match {}.")
invalid_digest = _error("InvalidDigest", "The Content-MD5 you specified was invalid.")
content_hash_mismatch = _error(
    "XAmzContentSHA256Mismatch", "The provided 'x-amz-content-sha256' header does not match what was computed."
)
invalid_request = _error("InvalidRequest", "{}")
key_too_long = _error("KeyTooLongError", "Your key is too long")
metadata_too_large = _error("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")
acls_not_supported = _error("AccessControlListNotSupported", "The bucket does not allow ACLs")
acls_of_bucket = _error(
    "InvalidBucketAclWithObjectOwnership",
    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
)
malformed_policy = _error("MalformedPolicy", "{}")
access_denied = _error("AccessDenied", "{}")
query_parameters = _error("AuthorizationQueryParametersError", "{}")
