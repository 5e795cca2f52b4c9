"""AWS's error responses to requests whose signer is not known or may not do it.

Codes: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the Common Errors of each other service.
"""

from localcloud.problems import Problem

_TOKEN = "The security token included in the request is invalid."  # noqa: S105 # a message
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_OLD = "The difference between the request time and the current time is too large."
_EXPIRED = "The security token included in the request is expired"

_FAILURE = Problem("AuthFailure", 401, "AWS was not able to validate the provided access credentials")
_TOO_LATE = Problem("RequestExpired", 400, "Request has expired.")
_WRONG_SIGNATURE = {
    "ec2": _FAILURE,
    "json": Problem("InvalidSignatureException", 400, _MISMATCH),
    "other": Problem("SignatureDoesNotMatch", 403, _MISMATCH),
}

_KINDS = {
    "unsigned": {
        "s3": Problem("AccessDenied", 403, "Access Denied"),
        "json": Problem("MissingAuthenticationTokenException", 400, "Missing Authentication Token"),
        "other": Problem("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
    },
    "unknown key": {
        "ec2": _FAILURE,
        "s3": Problem("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."),
        "json": Problem("UnrecognizedClientException", 400, _TOKEN),
        "other": Problem("InvalidClientTokenId", 403, _TOKEN),
    },
    "wrong token": {
        "ec2": _FAILURE,
        "s3": Problem("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
        "json": Problem("UnrecognizedClientException", 400, _TOKEN),
        "other": Problem("InvalidClientTokenId", 403, _TOKEN),
    },
    "expired session": {
        "ec2": _TOO_LATE,
        "s3": Problem("ExpiredToken", 400, "The provided token has expired."),
        "json": Problem("ExpiredTokenException", 400, _EXPIRED),
        "other": Problem("ExpiredToken", 403, _EXPIRED),
    },
    "wrong signature": _WRONG_SIGNATURE,
    "wrong time": {
        "ec2": _TOO_LATE,
        "s3": Problem("RequestTimeTooSkewed", 403, _OLD),
        "json": Problem("InvalidSignatureException", 400, "Signature expired: " + _OLD),
        "other": Problem("SignatureDoesNotMatch", 403, "Signature expired: " + _OLD),
    },
    "late": {
        "s3": Problem("AccessDenied", 403, "Request has expired"),
        "ec2": _TOO_LATE,
        "other": Problem("SignatureDoesNotMatch", 403, "Signature expired: " + _OLD),
    },
    "wrong body": _WRONG_SIGNATURE
    | {
        "s3": Problem(
            "XAmzContentSHA256Mismatch",
            400,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        ),
    },
    "old method": {
        "s3": Problem(
            "InvalidRequest",
            400,
            "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
        ),
        "ec2": _FAILURE,
        "other": Problem("IncompleteSignature", 400, "The request signature does not conform to AWS standards."),
    },
}


def unauthenticated(kind: str, service: str, protocol: str) -> Problem:
    """Return the service's error for a signer who is not known: one of the kinds above."""
    answers = _KINDS[kind]
    return answers.get(service) or answers.get(_family(service, protocol)) or answers["other"]


def unauthorized(service: str, protocol: str, text: str) -> Problem:
    """Return the service's error for a signer who may not do it."""
    if service == "ec2":
        return Problem("UnauthorizedOperation", 403, f"You are not authorized to perform this operation. {text}")
    if _family(service, protocol) == "json":
        return Problem("AccessDeniedException", 400, text)
    return Problem("AccessDenied", 403, text)


def _family(service: str, protocol: str) -> str:
    """Return how a service answers; CloudWatch's errors are those of its old protocol in whichever it is asked."""
    return "json" if protocol == "json" and service != "monitoring" else "other"
