"""The table of facts: what AWS does, each row shown by a test that calls the running embedded cloud over HTTP.

A test declares the facts that it shows with the marker `fact`: what AWS does, and where that is known from. A case that
shows a fact of its own carries the marker itself (`cases.case`). A fact that does not hold here yet is declared wrong
(`wrong="what happens instead"`), and its test has to fail. `--write-facts`, which `make fidelity` gives, writes the
table of the run into `docs/localcloud-coverage.md`.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from localcloud.coverage.document import DOCUMENT, facts_of, render
from localcloud.coverage.facts import Fact, repeated, table
from tests.localcloud.server_support import ENFORCED, ENFORCING, Server, serving_records

STATES = pytest.StashKey[dict[str, bool]]()
"""Whether each test passed as AWS would have it, by the test's id."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--write-facts`."""
    parser.addoption("--write-facts", action="store_true", help="write the table of facts into the document")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the results."""
    config.stash[STATES] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the tests of facts that are declared wrong to fail; refuse facts that two tests state.

    Raises:
        UsageError: two tests state the same fact of one service.
    """
    if twice := repeated(facts_declared(items)):
        raise pytest.UsageError("\n".join(["facts that more than one test states:", *twice]))
    for item in items:
        for marker in item.iter_markers("fact"):
            if marker.kwargs.get("wrong"):
                item.add_marker(pytest.mark.xfail(reason=marker.kwargs["wrong"], strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Note which facts hold."""
    report: Any = yield
    if report.when == "call":
        item.config.stash[STATES][item.nodeid] = report.passed and not hasattr(report, "wasxfail")
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the table, when that is what the run is for."""
    if session.config.getoption("--write-facts"):
        states = session.config.stash[STATES]
        facts = facts_declared(session.items, states)
        DOCUMENT.write_text(render(table(facts)), encoding="utf-8")


def facts_declared(items: list[pytest.Item], states: dict[str, bool] | None = None) -> list[Fact]:
    """Return the facts of the tests, as the run found them, or as they are declared when there is no run."""
    return [
        Fact(
            service=str(getattr(item, "module").SERVICE),  # noqa: B009 -- only functions have one
            what=marker.args[0],
            source=marker.args[1],
            right=not marker.kwargs.get("wrong") if states is None else states.get(item.nodeid, False),
            note=marker.kwargs.get("wrong", ""),
            test=str(getattr(item, "originalname", item.name)),
        )
        for item in items
        for marker in reversed(list(item.iter_markers("fact")))
    ]


@pytest.fixture(scope="session")
def facts_of_document() -> str:
    """The table of facts in the document."""
    return facts_of(DOCUMENT.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def session_cloud() -> Iterator[Server]:
    """The one server of all facts; ask for `cloud` instead."""
    with serving_records("fidelity") as server:
        yield server


@pytest.fixture(scope="module")
def cloud(session_cloud: Server) -> Iterator[Server]:
    """An embedded cloud whose instances are records, emptied after each test file: name your resources uniquely."""
    yield session_cloud
    session_cloud.empty()


@pytest.fixture(scope="session")
def session_enforcing() -> Iterator[Server]:
    """The one server that enforces policies; ask for `enforcing` instead."""
    with serving_records("enforcing", *(() if ENFORCED else ENFORCING)) as server:
        yield server


@pytest.fixture(scope="module")
def enforcing(session_enforcing: Server) -> Iterator[Server]:
    """An embedded cloud that checks signatures and evaluates policies, emptied after each test file."""
    yield session_enforcing
    session_enforcing.empty()
