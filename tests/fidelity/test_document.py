"""The document has the table of these facts."""

import pytest

from localcloud.coverage.facts import table
from tests.fidelity.conftest import facts_declared


def test_the_document_has_every_fact_in_its_declared_state(
    request: pytest.FixtureRequest, facts_of_document: str
) -> None:
    """`make fidelity` writes it; here the facts of the tests that were collected are compared."""
    rows = set(facts_of_document.splitlines())

    missing = [row for row in table(facts_declared(request.session.items)).splitlines() if row.startswith("| ")]

    assert [row for row in missing if row not in rows] == [], "stale: run make fidelity"
