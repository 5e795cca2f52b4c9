"""Patterns of AWS actions, such as `ec2:Describe*`: parsing and matching."""

import difflib
import functools
from fnmatch import fnmatchcase

SERVICES = {
    "autoscaling": "autoscaling",
    "dynamodb": "dynamodb",
    "ec2": "ec2",
    "elasticloadbalancing": "elbv2",
    "iam": "iam",
    "monitoring": "cloudwatch",
    "s3": "s3",
    "ssm": "ssm",
    "sts": "sts",
}
"""botocore's name of each service that may fail, by the name that signs its requests."""
_SIGNING_NAMES = {client: signing for signing, client in SERVICES.items()}
ANY = "*"


def parse(text: str) -> list[str]:
    """Return the patterns of a list such as `s3:*,ssm:Get*`, each by the service's signing name."""
    patterns = [_parse(part.strip()) for part in text.split(",") if part.strip()]
    if not patterns:
        raise ValueError("it names no action")
    return patterns


def matches(patterns: list[str], service: str, action: str) -> bool:
    """Return whether one of the patterns is for that action."""
    return any(fnmatchcase(f"{service}:{action}", pattern) for pattern in patterns)


def _parse(text: str) -> str:
    if text == ANY:
        return "*:*"
    service, colon, action = text.partition(":")
    if not (colon and service and action):
        raise ValueError(f"{text!r} is not a service and an action with a colon between")
    service = _SIGNING_NAMES.get(service, service)
    found = [name for name in SERVICES if fnmatchcase(name, service)]
    if not found:
        raise ValueError(f"there is no service {service!r}: one of {', '.join(sorted(_SIGNING_NAMES))}")
    known = [name for signing in found for name in _operations(SERVICES[signing])]
    if not any(fnmatchcase(name, action) for name in known):
        close = difflib.get_close_matches(action, known, n=3)
        hint = f" such as {', '.join(close)}" if close else ""
        raise ValueError(f"{service} has no action {action!r}: name one{hint}, or use {service}:*")
    return f"{service}:{action}"


@functools.cache
def _operations(client: str) -> list[str]:
    import botocore.session

    return list(botocore.session.get_session().get_service_model(client).operation_names)
