"""The table of facts about AWS, as a run of `tests/fidelity` found them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby


@dataclass(frozen=True)
class Fact:
    """One fact.

    Args:
        service: Whose it is.
        what: What AWS does.
        source: Where that is known from, in Markdown.
        right: Whether the embedded cloud does so too.
        note: What it does instead, where it does not.
        test: The name of the test in `tests/fidelity` that shows it.
    """

    service: str
    what: str
    source: str
    right: bool
    note: str
    test: str


def merged(facts: Iterable[Fact]) -> list[Fact]:
    """Return each fact once: the cases of one test that show the same fact are one row, right if all of them are."""
    found: dict[tuple[str, str, str], Fact] = {}
    for fact in facts:
        key = (fact.service, fact.what, fact.test)
        first = found.setdefault(key, fact)
        found[key] = replace(first, right=first.right and fact.right, note=first.note or fact.note)
    return list(found.values())


def repeated(facts: Iterable[Fact]) -> list[str]:
    """Return a line for each fact of a service that more than one test states."""
    tests: dict[tuple[str, str], set[str]] = defaultdict(set)
    for fact in facts:
        tests[fact.service, fact.what].add(fact.test)
    return [
        f"{service}: {what!r}, by {', '.join(sorted(names))}"
        for (service, what), names in tests.items()
        if len(names) > 1
    ]


def table(facts: Iterable[Fact]) -> str:
    """Return the facts' part of the document, in Markdown: a sum, and a table for each service."""
    facts = merged(facts)
    right = len([fact for fact in facts if fact.right])
    share = f"{right / len(facts):.1%}" if facts else "none"
    parts = [f"{right} of {len(facts)} facts hold ({share}).\n"]
    for service, group in groupby(sorted(facts, key=lambda fact: fact.service), key=lambda fact: fact.service):
        rows = "".join(f"{_row(fact)}\n" for fact in group)
        head = "| AWS | here | source | shown by | what happens instead |\n| --- | --- | --- | --- | --- |\n"
        parts.append(f"### Facts of {service}\n\n{head}{rows}")
    return "\n".join(parts)


def _row(fact: Fact) -> str:
    state = "right" if fact.right else "**wrong**"
    return f"| {fact.what} | {state} | {fact.source} | `{fact.test}` | {fact.note} |"
