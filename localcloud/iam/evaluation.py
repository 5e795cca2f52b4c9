"""Whether policies allow something.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from localcloud.iam.conditions import Context
from localcloud.iam.policies import Statement, parse
from localcloud.iam.principals import ACCOUNT_FORM, Principal


@dataclass(frozen=True)
class Guard:
    """The policy of a resource: a bucket's, or a role's trust policy.

    Args:
        document: The policy; "" when there is none.
        account: Whose resource it is.
        kind: How error messages call the policy.
        decides: Without its consent nobody of the same account may do it either, as with trust policies.
    """

    document: str
    account: str
    kind: str = "resource-based policy"
    decides: bool = False


@dataclass(frozen=True)
class Request:
    """What is to be decided: one action on one resource."""

    action: str
    resource: str
    context: Context


def refusal(principal: Principal, request: Request, guard: Guard | None = None) -> str | None:
    """Return why it is refused, in the words that follow the resource in AWS's message; None when it is allowed."""
    sources = [("identity-based policy", list(principal.identity))]
    if principal.boundary is not None:
        sources.append(("permissions boundary", [principal.boundary]))
    if principal.limits:
        sources.append(("session policy", list(principal.limits)))
    for kind, documents in sources:
        if denies(documents, request):
            article = "an" if kind.startswith("i") else "a"
            return f"with an explicit deny in {article} {kind}"
    consent: set[str] = set()
    if guard and guard.document:
        if denies([guard.document], request, principal.forms):
            return f"with an explicit deny in a {guard.kind}"
        consent = consents(guard.document, request, principal.forms)
    missing = [kind for kind, documents in sources if not allows(documents, request)]
    if guard is not None:
        missing = _with_consent(principal, guard, consent, missing)
    return f"because no {missing[0]} allows the {request.action} action" if missing else None


def allows(documents: Iterable[str], request: Request) -> bool:
    """Return whether a statement allows it, whatever others deny."""
    statements = (statement for document in documents for statement in parse(document))
    return any(each.allows and _applies(each, request) is True for each in statements)


def denies(documents: Iterable[str], request: Request, forms: Collection[str] | None = None) -> bool:
    """Return whether a statement denies it, or may deny it and cannot be evaluated."""
    statements = (statement for document in documents for statement in parse(document) if not statement.allows)
    return any((forms is None or each.names(forms)) and _applies(each, request) is not False for each in statements)


def _applies(statement: Statement, request: Request) -> bool | None:
    return statement.applies(request.action, request.resource, request.context)


def consents(document: str, request: Request, forms: Collection[str]) -> set[str]:
    """Return the names by which a resource's policy allows it to the principal."""
    found: set[str] = set()
    for statement in parse(document):
        names = statement.names(forms) if statement.allows else set()
        if names and _applies(statement, request) is True:
            found |= names
    return found


def _with_consent(principal: Principal, guard: Guard, consent: set[str], missing: list[str]) -> list[str]:
    """Return the kinds of policies whose consent is missing, given that of the resource's policy."""
    if guard.account != principal.account:  # both accounts have to allow it
        return missing or ([] if consent else [guard.kind])
    if principal.arn in consent and principal.kind != "Account":  # the user or session itself is named
        return []
    if consent - {ACCOUNT_FORM.format(principal.account)}:  # the role is, or everybody: their limits remain
        return [kind for kind in missing if kind != "identity-based policy"]
    return [guard.kind] if guard.decides and not consent else missing
