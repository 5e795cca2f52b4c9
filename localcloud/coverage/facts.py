"""The table of facts about AWS, as a run of `tests/fidelity` found them."""

from collections.abc import Sequence
from dataclasses import dataclass
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
        test: The name of the test in `tests/fidelity` that asks it.
    """

    service: str
    what: str
    source: str
    right: bool
    note: str
    test: str


def table(facts: Sequence[Fact]) -> str:
    """Return the facts' part of the document, in Markdown: a sum, and a table for each service."""
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
