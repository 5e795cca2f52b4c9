"""The load generator counts what it sends, and hides nothing."""

import csv
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from stack.load import COLUMNS, Load, percentile


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answered = 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        with self.lock:
            _Handler.answered += 1
            number = _Handler.answered
        if self.path == "/hang-up":
            self.close_connection = True
            return
        status = 503 if self.path == "/every-third" and number % 3 == 0 else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def url() -> Iterator[str]:
    """Return the address of a server that answers at once."""
    _Handler.answered = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _run(load: Load, requests: int) -> None:
    """Let a load run until it has sent so many requests."""
    load.start()
    while load.result.sent < requests and load.alive:
        threading.Event().wait(0.01)
    load.stop()


def test_every_request_is_counted_and_answered(url: str) -> None:
    load = Load(url, rate=200, connections=5)
    _run(load, 60)

    assert load.result.sent == _Handler.answered
    assert load.result.failed == 0
    assert load.result.answers == {"ok": load.result.sent}
    assert 0 < load.result.percentile(50) <= load.result.percentile(99) < 5


def test_the_rate_is_kept(url: str) -> None:
    load = Load(url, rate=100, connections=5)
    _run(load, 50)

    assert load.result.sent == pytest.approx(load.result.duration * 100, abs=15)


def test_an_answer_that_is_not_200_is_a_failure_with_its_reason(url: str) -> None:
    load = Load(f"{url}/every-third", rate=200, connections=1)
    _run(load, 30)

    assert load.result.failed == _Handler.answered // 3
    assert load.result.reasons == {"status 503": load.result.failed}


def test_a_connection_that_the_server_closes_is_a_failure_and_is_not_tried_again(url: str) -> None:
    load = Load(f"{url}/hang-up", rate=100, connections=2)
    _run(load, 20)

    assert load.result.failed == load.result.sent == _Handler.answered


def test_a_server_that_is_not_there_fails_every_request_and_nothing_else() -> None:
    load = Load("http://127.0.0.1:9", rate=100, connections=2)
    _run(load, 20)

    assert load.result.failed == load.result.sent >= 20


def test_the_report_has_a_line_per_second_that_adds_up_to_the_totals(url: str, tmp_path: Path) -> None:
    report = tmp_path / "folder" / "load.csv"
    load = Load(f"{url}/every-third", rate=100, connections=1, report=report)
    _run(load, 120)
    rows = list(csv.DictReader(report.read_text().splitlines()))

    assert tuple(rows[0]) == COLUMNS
    assert [int(row["second"]) for row in rows] == list(range(len(rows)))
    assert sum(int(row["sent"]) for row in rows) == load.result.sent
    assert sum(int(row["failed"]) for row in rows) == load.result.failed
    assert all(int(row["ok"]) + int(row["failed"]) == int(row["sent"]) for row in rows)


def test_each_second_shows_what_answered_and_how_late_the_load_itself_was(url: str, tmp_path: Path) -> None:
    report = tmp_path / "load.csv"
    load = Load(url, rate=100, connections=2, report=report, label=str.upper)
    _run(load, 20)
    rows = list(csv.DictReader(report.read_text().splitlines()))

    assert rows[0]["answers"] == f"OK={rows[0]['ok']}"
    assert len(load.result.lateness) == load.result.sent
    assert max(float(row["late_ms"]) for row in rows) == pytest.approx(max(load.result.lateness) * 1000, abs=0.1)


def test_an_answer_that_the_label_cannot_be_read_from_is_a_failure(url: str) -> None:
    load = Load(url, rate=100, connections=1, label=lambda body: str(int(body)))
    _run(load, 10)

    assert load.result.failed == load.result.sent
    assert load.result.reasons.keys() == {"ValueError: invalid literal for int() with base 10: 'ok'"}


@pytest.mark.parametrize(("rate", "connections"), [(0, 1), (-1, 1), (1, 0)])
def test_a_load_that_would_send_nothing_is_refused(rate: float, connections: int) -> None:
    with pytest.raises(ValueError, match="must be above zero"):
        Load("http://127.0.0.1:9", rate=rate, connections=connections)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([], 50, 0.0), ([3.0], 99, 3.0), ([4.0, 1.0, 3.0, 2.0], 50, 2.0), ([4.0, 1.0, 3.0, 2.0], 100, 4.0)],
)
def test_percentiles_are_of_the_nearest_rank(values: list[float], percent: float, expected: float) -> None:
    assert percentile(values, percent) == expected
