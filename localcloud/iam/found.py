"""What the search for a request's resources takes and finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localcloud.iam.context import Values
from localcloud.iam.table import Action, ResourceType

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

NOT_RESOURCES = frozenset(
    {"Tags", "Tag", "TagSpecifications", "Filters", "Filter", "UserData", "Description", "DryRun"}
)
"""Parameters in which an id or a name is not what the request is about."""


class UnmappedError(Exception):
    """Which resource the request is about cannot be said here."""


@dataclass(frozen=True)
class Question:
    """An action as a principal asks for it.

    Args:
        cloud: The cloud.
        account: The caller's.
        caller: The caller's ARN.
        region: The request's.
        action: From AWS's table.
        params: By the API's names; None where one that the action has is not given.
    """

    cloud: Cloud
    account: str
    caller: str
    region: str
    action: Action
    params: Mapping[str, Any]

    @property
    def creates(self) -> bool:
        """Whether what it is about does not exist yet."""
        name = self.action.name.partition(":")[2]
        return name.startswith(("Create", "Run", "Register", "Import", "Allocate", "Copy", "Request"))

    @property
    def reads(self) -> bool:
        """Whether it changes nothing: then no name means all."""
        return self.action.level in {"List", "Read"}

    @property
    def must_name(self) -> bool:
        """Whether it changes a resource, and has to say which."""
        return bool(self.action.types) and not (self.creates or self.reads)

    def arn(self, kind: ResourceType, names: Mapping[str, str]) -> str:
        """Return the ARN of a resource of the caller's account and region."""
        return kind.filled(self.region, self.account, names)

    def backend(self, service: str) -> Any:
        """Return moto's backend of a service for the caller."""
        return self.cloud.backend(service, self.account, self.region)


@dataclass(frozen=True)
class Found:
    """A resource that a request is about.

    Args:
        kind: Its type in AWS's table; "" for a request that is about none, whose ARN is `*`.
        arn: Its ARN.
        tags: Its tags; None when they are not known.
        keys: Condition keys of it, in lower case; no values of one that it does not have.
        account: Whose it is, when it is another's than the caller's.
    """

    kind: str
    arn: str
    tags: Mapping[str, str] | None = field(default_factory=dict)
    keys: Mapping[str, Values] = field(default_factory=dict)
    account: str = ""


def texts(params: Any, ignored: frozenset[str] = NOT_RESOURCES) -> Iterator[str]:
    """Yield every text in parameters."""
    if isinstance(params, str):
        yield params
    elif isinstance(params, Mapping):
        for name, value in params.items():
            if name not in ignored:
                yield from texts(value, ignored)
    elif isinstance(params, Sequence) and not isinstance(params, bytes):
        for value in params:
            yield from texts(value, ignored)


def value_of(value: Any) -> Values:
    """Return a parameter as values of a condition key."""
    if value is None or isinstance(value, Mapping):
        return ()
    if isinstance(value, (list, tuple)):
        return tuple(part for one in value for part in value_of(one))
    return (str(value).lower() if isinstance(value, bool) else str(value),)
