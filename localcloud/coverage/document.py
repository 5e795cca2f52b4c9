"""The document, from the declarations."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from . import Behaviour
from .actions import Service, services

INTRODUCTION = """\
# What the embedded cloud emulates

<!-- Written by `python -m localcloud.coverage` from the declarations in `localcloud/*/behaviours.py`. -->

What of AWS [the embedded cloud](../localcloud/README.md) does too, as far as Rebake needs it. Each behaviour that is
emulated names the test that shows it, in `tests/localcloud/`.

**{compared} compared with AWS.**
Behaviour follows AWS's API model and documentation, and texts that others have published; where those are silent, the
source notes it, and AWS may differ.
"""

FACTS = """\
What AWS's API models and documentation state, each shown by a test in `tests/fidelity/` that calls the running
embedded cloud. `make fidelity` runs them, and writes this table.
"""
FACTS_BEGIN, FACTS_END = "<!-- facts -->\n", "<!-- end of the facts -->\n"
DOCUMENT = Path(__file__).parents[2] / "docs" / "localcloud-coverage.md"

PARTS = {
    "Instance refresh": "autoscaling.refresh",
    "Auto Scaling groups": "autoscaling",
    "Load balancers": "elbv2",
    "Instances and images": "ec2",
    "Networks and instance metadata": "vpc",
    "Run Command": "ssm",
    "CloudWatch": "cloudwatch",
}
SECTIONS: Mapping[str, Sequence[Behaviour]] = {
    title: import_module(f"localcloud.{part}.behaviours").BEHAVIOURS for title, part in PARTS.items()
}


def behaviours() -> list[Behaviour]:
    """Return every declaration."""
    return [each for section in SECTIONS.values() for each in section]


def facts_of(document: str) -> str:
    """Return the table of facts that a document has; see `render`."""
    return document.partition(FACTS_BEGIN)[2].partition(FACTS_END)[0]


def render(facts: str) -> str:
    """Return the document's text.

    Args:
        facts: Its table of facts, from `facts.table`: a run finds them, where the rest is declared.
    """
    compared = len([each for each in behaviours() if each.compared_with_aws])
    summary = f"{compared} of {len(behaviours())} were" if compared else "None was"
    parts = [INTRODUCTION.format(compared=summary)]
    parts += [f"## {title}\n\n{_behaviours(section)}" for title, section in SECTIONS.items()]
    known = services()
    parts.append(f"## Facts\n\n{FACTS}\n{FACTS_BEGIN}{facts}{FACTS_END}")
    parts.append(
        "## Actions\n\n"
        f"moto is {version('moto')}; the actions are those of botocore {version('botocore')}. An action that neither "
        "answers is refused: `InvalidAction` (400), `UnknownOperationException` (400) in JSON, `MethodNotAllowed` "
        "(405) of S3. S3, ACM, IAM and STS are changed, too; their facts are the declaration, and ACM's are among "
        "those of load balancing. Every other service is moto's own.\n\n" + _counts(known)
    )
    parts += [_actions(service) for service in known]
    return "\n".join(parts)


def _behaviours(section: Iterable[Behaviour]) -> str:
    rows = [
        (
            each.what,
            each.emulated.value,
            "yes" if each.compared_with_aws else "never",
            each.source,
            f"`{each.test}`" if each.test else "",
            each.note,
        )
        for each in section
    ]
    return _table(("behaviour", "emulated", "compared with AWS", "source", "shown by", "differs, or unknown"), rows)


def _counts(known: Iterable[Service]) -> str:
    rows = [
        (each.title, str(len(each.all)), str(len(each.changed)), str(len(each.motos)), str(len(each.absent)))
        for each in known
    ]
    return _table(("service", "actions", "changed here", "by moto alone", "not answered"), rows)


def _actions(service: Service) -> str:
    changed = _table(("action", "what is different from moto's"), sorted(service.changed.items()))
    return (
        f"### {service.title}\n\n{changed}\n"
        f"{_folded('by moto alone', service.motos)}\n{_folded('not answered', service.absent)}"
    )


def _folded(title: str, names: Sequence[str]) -> str:
    return f"<details><summary>{len(names)} {title}</summary>\n\n{', '.join(names)}\n\n</details>\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
