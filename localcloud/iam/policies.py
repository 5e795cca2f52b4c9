"""Policy documents: the grammar, and which statements apply to a request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from localcloud.iam import conditions
from localcloud.iam.conditions import Context, UnknownKeyError, every, expanded, matches

VARIABLES_SINCE = "2012-10-17"
EVERYBODY = "*"
_ELEMENTS = {"Sid", "Effect", "Condition"}
_PAIRS = (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal"))


@dataclass(frozen=True)
class Statement:
    """A statement of a policy. An element that starts with Not is the list that applies to everything else."""

    text: str
    """As it stands in the document."""
    allows: bool
    actions: tuple[str, ...]
    except_actions: bool
    resources: tuple[str, ...]
    except_resources: bool
    principals: frozenset[str] | None
    """ARNs, accounts, services; None in a policy of an identity."""
    except_principals: bool
    tests: tuple[conditions.Test, ...]
    variables: bool

    def applies(self, action: str, resource: str, context: Context) -> bool | None:
        """Return whether it is about this action on this resource under these conditions; None if unknown."""
        if any(matches([(one, True)], action, any_case=True) for one in self.actions) is self.except_actions:
            return False
        try:
            if self._about(resource, context if self.variables else None) is self.except_resources:
                return False
        except UnknownKeyError:
            return None
        return every(test.holds(context, variables=self.variables) for test in self.tests)

    def _about(self, resource: str, variables: Context | None) -> bool:
        for one in self.resources:
            pattern = expanded(one, variables)
            if one == EVERYBODY or (pattern is not None and conditions.arn_matches(pattern, resource)):
                return True
        return False

    def names(self, forms: Collection[str]) -> set[str]:
        """Return those of a principal's names (its ARNs, its account) that this statement is for."""
        named = self.principals or frozenset()
        if self.except_principals:
            return set() if named & set(forms) else {EVERYBODY}
        return set(named) & set(forms)


UNREADABLE = Statement("{}", False, (EVERYBODY,), False, (EVERYBODY,), False, frozenset({EVERYBODY}), False, (), False)
"""What stands for a document that cannot be read: a denial of everything, since it cannot be evaluated."""


@lru_cache(maxsize=4096)
def parse(document: str) -> tuple[Statement, ...]:
    """Return the statements of a policy document."""
    try:
        policy = json.loads(document)
        statements = policy.get("Statement", [])
        variables = policy.get("Version") == VARIABLES_SINCE
        return tuple(_statement(one, variables=variables) for one in _listed(statements))
    except Exception:  # noqa: BLE001 -- whatever is wrong with it
        return (UNREADABLE,)


def _statement(raw: Mapping[str, Any], *, variables: bool) -> Statement:
    elements = {}
    for name, opposite in _PAIRS:
        if name in raw and opposite in raw:
            raise ValueError(f"a statement has {name} or {opposite}, not both")
        elements[name] = (_listed(raw.get(name, raw.get(opposite, []))), opposite in raw)
    if set(raw) - _ELEMENTS - {name for pair in _PAIRS for name in pair}:
        raise ValueError("a statement has an unknown element")
    principals, except_principals = elements["Principal"]
    resources, except_resources = elements["Resource"]
    if not resources and not except_resources:
        resources = [EVERYBODY]  # a role's trust policy has none: it is about the role
    return Statement(
        text=json.dumps(raw),
        allows={"Allow": True, "Deny": False}[raw["Effect"]],
        actions=tuple(elements["Action"][0]),
        except_actions=elements["Action"][1],
        resources=tuple(resources),
        except_resources=except_resources,
        principals=_principals(principals) if principals else None,
        except_principals=except_principals,
        tests=conditions.read(raw.get("Condition", {})),
        variables=variables,
    )


def _principals(raw: Sequence[Any]) -> frozenset[str]:
    """Return names of principals: an account is its root's ARN, whichever way it is written."""
    names: set[str] = set()
    for one in raw:
        if one == EVERYBODY:
            names.add(EVERYBODY)
            continue
        for kind, named in one.items():
            for name in _listed(named):
                account = kind == "AWS" and name.isdigit()
                names.add(f"arn:aws:iam::{name}:root" if account else name)
    return frozenset(names)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
