"""The document of what the embedded cloud emulates: that it is up to date, and claims nothing that no test shows."""

import re
from pathlib import Path

import pytest

from localcloud.coverage import Emulated
from localcloud.coverage.actions import Service, services
from localcloud.coverage.document import DOCUMENT, behaviours, facts_of, render

TESTS = Path(__file__).parents[2] / "localcloud"


def test_document_is_up_to_date() -> None:
    """The document is what the declarations, moto and botocore say now; `python -m localcloud.coverage` writes it."""
    document = DOCUMENT.read_text(encoding="utf-8")

    assert document == render(facts_of(document)), "stale: run python -m localcloud.coverage"


def test_document_names_every_declaration() -> None:
    text = render("")

    assert [each.what for each in behaviours() if f"| {each.what} |" not in text] == []


def test_what_is_emulated_is_shown_by_a_test() -> None:
    """A behaviour that is emulated, wholly or in part, names a test that exists; another names none."""
    known = {name for path in TESTS.glob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    wrong = [
        each.what
        for each in behaviours()
        if (each.test not in known if each.emulated is not Emulated.NO else bool(each.test))
    ]

    assert wrong == []


def test_what_is_not_emulated_whole_says_what_happens_instead() -> None:
    assert [each.what for each in behaviours() if each.emulated is not Emulated.YES and not each.note] == []


def test_nothing_is_said_to_be_compared_with_aws() -> None:
    """The embedded cloud was never run beside AWS; a declaration that says otherwise needs its record first."""
    assert [each.what for each in behaviours() if each.compared_with_aws] == []
    assert "**None was compared with AWS.**" in render("")


def test_cells_keep_the_tables_whole() -> None:
    texts = [text for each in behaviours() for text in (each.what, each.source, each.note)]
    texts += [what for service in services() for what in service.changed.values()]

    assert [text for text in texts if "|" in text or "\n" in text] == []


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_every_changed_action_is_declared(service: Service) -> None:
    """What this package's code replaces is in the table, and only actions that AWS has are."""
    assert service.found_changed <= set(service.changed) <= set(service.all)


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_actions_are_counted_once(service: Service) -> None:
    counted = [*service.changed, *service.motos, *service.absent]

    assert sorted(counted) == sorted(service.all)
