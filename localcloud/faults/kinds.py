"""The kinds of faults, their settings, and the parser of a requested fault.

Values arrive from a terminal as text or from a program as JSON, so each parser takes either.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import actions
from .exceptions import FaultError


@dataclass(frozen=True)
class FaultKind:
    """One kind of fault.

    Args:
        does: What happens when it fires.
        takes: Its settings, besides those of every kind.
        one_of: Settings of which at least one is required.
        defaults: The values of omitted settings.
        counts: What one firing is.
    """

    does: str
    takes: tuple[str, ...]
    one_of: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    counts: str = "request"


API = ("action", "rate", "seed")
INSTANCE = ("image", "tags", "instance")
EVERY_KIND = ("limit", "expires")

KINDS: dict[str, FaultKind] = {
    "throttle": FaultKind(
        "requests are refused with the service's own throttling code", API, defaults={"action": ["*:*"]}
    ),
    "error": FaultKind(
        "requests fail inside AWS, by default with the service's own code for 500; or with CODE and STATUS",
        (*API, "code", "status"), defaults={"action": ["*:*"], "status": 500},
    ),
    "latency": FaultKind("requests are answered SECONDS later", (*API, "seconds"), ("seconds",), {"action": ["*:*"]}),
    "unavailable": FaultKind(
        "connections are reset, or with HOW=503 answered so", (*API, "how"), ("action",), {"how": "reset"}
    ),
    "state-lock": FaultKind(
        "Terraform's lock cannot be taken: somebody else holds it, or with HOW=503 S3 does not answer",
        ("key", "how", "rate", "seed"), defaults={"key": "*.tflock", "how": "held"},
    ),
    "never-boots": FaultKind(
        "an instance stays pending for SECONDS (90) and is then terminated",
        (*INSTANCE, "seconds", "rate", "seed"), INSTANCE, {"seconds": 90.0}, "instance",
    ),
    "never-serves": FaultKind(
        "an instance runs, but its service never starts",
        (*INSTANCE, "service", "rate", "seed"), INSTANCE, counts="instance",
    ),
    "service-dies": FaultKind(
        "the service dies SECONDS (0) after its instance runs, and cannot be started again",
        (*INSTANCE, "service", "seconds", "rate", "seed"), INSTANCE, {"seconds": 0.0}, "instance",
    ),
    "health-flaps": FaultKind(
        "health checks answer 503 until the target is unhealthy, then as they are until it is healthy, and again; "
        "with CHECKS, so many each way",
        ("target_group", "instance", "checks"), ("target_group", "instance"), counts="check",
    ),
    "refresh-stalls": FaultKind(
        "an instance refresh stays as it is, but can be cancelled or rolled back",
        ("group", "rate", "seed"), counts="refresh",
    ),
    "unknown-status": FaultKind(
        "DescribeInstanceRefreshes reports an unknown status (Quantum) for a refresh under way",
        ("group", "shows", "rate", "seed"), defaults={"shows": "Quantum"}, counts="answer",
    ),
}  # fmt: skip


def _number(least: float, most: float, *, whole: bool = False, above: bool = False) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        number = int(str(value)) if whole else float(str(value))
        # In this form it refuses NaN too.
        if not (least < number <= most if above else least <= number <= most):
            raise ValueError
        return number

    return read


def _text(pattern: str) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError
        return value

    return read


def _tags(value: Any) -> dict[str, str]:
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",")]
        value = {name: text for name, equals, text in pairs if name and equals}
        if len(value) != len(pairs):
            raise ValueError
    is_tags = isinstance(value, dict) and value and all(isinstance(part, str) for part in [*value, *value.values()])
    if not is_tags:
        raise ValueError
    return dict(value)


def _actions(value: Any) -> list[str]:
    return actions.parse(",".join(value) if isinstance(value, list) else str(value))


A_YEAR = 366 * 24 * 3600.0

SETTINGS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "action": ("service:Action, * for any, several with commas between: ec2:*, s3:Put*,ssm:GetParameter", _actions),
    "rate": ("how often of 1, above 0 and at most 1", _number(0, 1, above=True)),
    "seed": ("a whole number that decides which are hit; the same one hits the same", _number(0, 2**63, whole=True)),
    "limit": ("a whole number from 1: how many times at most", _number(1, 10**9, whole=True)),
    "expires": ("seconds until it ends by itself, above 0", _number(0, A_YEAR, above=True)),
    "seconds": ("seconds, from 0", _number(0, A_YEAR)),
    "image": ("an image's id, such as ami-0123456789abcdef0", _text(r"ami-[0-9a-f]+")),
    "instance": ("an instance's id, such as i-0123456789abcdef0", _text(r"i-[0-9a-f]+")),
    "tags": ("name=value, several with commas between, all of which an instance must have", _tags),
    "service": ("the name of a systemd unit without .service; left out: the instance's tag rebake:service",
                _text(r"[A-Za-z0-9@_.\\-]+")),
    "target_group": ("a target group's name or ARN", _text(r"\S+")),
    "group": ("an Auto Scaling group's name; left out: any", _text(r".+")),
    "key": ("an S3 key, * for any", _text(r".+")),
    "how": ("", str),  # differs by kind, see HOW
    "code": ("an AWS error code, such as InternalFailure or ServiceUnavailable", _text(r"[A-Za-z][A-Za-z0-9.]*")),
    "status": ("an HTTP status from 400 to 599", _number(400, 599, whole=True)),
    "checks": ("a whole number of health checks from 1", _number(1, 10**6, whole=True)),
    "shows": ("letters only, such as Quantum", _text(r"[A-Za-z]+")),
}  # fmt: skip
"""For each setting, a description of valid values and its parser, which raises ValueError on others."""

HOW = {"unavailable": ("reset", "503"), "state-lock": ("held", "503")}


def read(request: Any) -> tuple[str, dict[str, Any]]:
    """Return the kind and the settings, defaults included, of a requested fault."""
    if not isinstance(request, dict):
        raise FaultError('a fault is a JSON object such as {"kind": "throttle", "action": "ec2:*", "rate": 0.3}')
    name = request.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise FaultError(f"{f'no kind of fault is {name!r}' if name else 'a fault needs a kind'}: {', '.join(KINDS)}")
    kind = KINDS[name]
    allowed = (*kind.takes, *EVERY_KIND)
    settings = dict(kind.defaults)
    for setting, value in request.items():
        if setting == "kind":
            continue
        if setting not in allowed:
            raise FaultError(f"{name} takes no {setting}: it takes {', '.join(allowed)}")
        settings[setting] = _read(name, setting, value)
    if kind.one_of and not any(setting in request for setting in kind.one_of):
        meanings = "; ".join(f"{each} is {SETTINGS[each][0]}" for each in kind.one_of)
        raise FaultError(f"{name} needs {' or '.join(kind.one_of)}: {meanings}")
    return name, settings


def _read(kind: str, setting: str, value: Any) -> Any:
    right, reader = SETTINGS[setting]
    if setting == "how":
        if str(value) not in HOW[kind]:
            raise FaultError(f"how={value!r}: one of {', '.join(HOW[kind])}")
        return str(value)
    try:
        return reader(value)
    except ValueError as error:
        # Only the parser of actions raises a detailed message.
        why = f": {error}" if setting == "action" else ""
        raise FaultError(f"{setting}={value!r} is wrong{why}; it is {right}") from error
