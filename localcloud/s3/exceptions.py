"""Errors of S3 that moto does not raise, with AWS's codes and texts."""

from moto.s3.exceptions import S3ClientError


class BadDigestError(S3ClientError):
    """Raised when the body is not the one that a checksum was computed of."""

    def __init__(self, what: str) -> None:
        found = "what we received" if what == "Content-MD5" else "the calculated checksum"
        super().__init__("BadDigest", f"The {what} you specified did not match {found}.")


class InvalidDigestError(S3ClientError):
    """Raised when Content-MD5 is no MD5."""

    def __init__(self) -> None:
        super().__init__("InvalidDigest", "The Content-MD5 you specified was invalid.")


class ContentHashMismatchError(S3ClientError):
    """Raised when the body is not the one that was signed."""

    def __init__(self) -> None:
        super().__init__(
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )


class InvalidRequestError(S3ClientError):
    """Raised when a header has no valid value."""

    def __init__(self, message: str) -> None:
        super().__init__("InvalidRequest", message)


class KeyTooLongError(S3ClientError):
    """Raised when a key has more than 1,024 bytes."""

    def __init__(self) -> None:
        super().__init__("KeyTooLongError", "Your key is too long")


class MetadataTooLargeError(S3ClientError):
    """Raised when user metadata has more than 2 KB."""

    def __init__(self) -> None:
        super().__init__("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size")


class AclsNotSupportedError(S3ClientError):
    """Raised when a request sets an ACL in a bucket whose owner owns every object."""

    def __init__(self) -> None:
        super().__init__("AccessControlListNotSupported", "The bucket does not allow ACLs")


class AclsOfBucketError(S3ClientError):
    """Raised when a bucket is made with an ACL and without ACLs."""

    def __init__(self) -> None:
        super().__init__(
            "InvalidBucketAclWithObjectOwnership",
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        )


class MalformedPolicyError(S3ClientError):
    """Raised when a bucket policy is none."""

    def __init__(self, message: str) -> None:
        super().__init__("MalformedPolicy", message)


class AccessDeniedError(S3ClientError):
    """Raised when the bucket's settings, or the time, forbid a request."""

    def __init__(self, message: str = "Access Denied") -> None:
        super().__init__("AccessDenied", message)


class QueryParametersError(S3ClientError):
    """Raised when what a presigned address says of its signature makes no sense."""

    def __init__(self, message: str) -> None:
        super().__init__("AuthorizationQueryParametersError", message)
