"""`make status` shows what a service answers, whatever that is."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from rebake.config import HttpCheck, Probe
from stack import status

BODIES = {
    "/healthz": (200, b"ok\n"),
    "/hostile": (503, b"\x1b[2J\x1b]0;title\x07down\r\n\xff" + "\u202e".encode() + b"x"),
    "/endless": (200, b"x" * 1_000_000),
    "/version": (200, b'{"status": "ok", "version": "1.1.0", "host": "a"}\n'),
    "/health.json": (200, b'{"status": "ok"}\n'),
    "/other.json": (200, b'{"a": 1}\n'),
    "/page": (200, b"<!doctype html>\n<html><head><TITLE>Pages &amp;\n1.1.0 &#27;</TITLE></head></html>"),
    "/bare": (500, b"<p>broken"),
}


class _Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        code, body = BODIES.get(self.path, (404, b""))
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def url() -> Iterator[str]:
    """Return the address of a service."""
    with HTTPServer(("127.0.0.1", 0), _Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _probe(*paths: str) -> Probe:
    return Probe(http=tuple(HttpCheck(path=path) for path in paths))


def test_status_requests_the_first_check_of_the_probe(url: str) -> None:
    assert status.answer(url, _probe("/healthz", "/version")) == "HTTP 200 to GET /healthz: ok"
    assert status.answer(url, _probe("/missing")) == "HTTP 404 to GET /missing: (empty)"
    assert status.answer(url, _probe()) == "not requested: its probe has no HTTP check"


def test_control_characters_of_an_answer_do_not_reach_the_terminal(url: str) -> None:
    shown = status.answer(url, _probe("/hostile"))

    assert shown.isprintable()
    assert shown == "HTTP 503 to GET /hostile: [2J ]0;title down \N{REPLACEMENT CHARACTER} x"


def test_a_long_answer_is_cut(url: str) -> None:
    assert len(status.answer(url, _probe("/endless"))) < 120


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/version", "HTTP 200 to GET /version: version 1.1.0"),
        ("/health.json", "HTTP 200 to GET /health.json: status ok"),
        ("/other.json", "HTTP 200 to GET /other.json: (JSON)"),
        ("/page", "HTTP 200 to GET /page: Pages & 1.1.0"),
        ("/bare", "HTTP 500 to GET /bare: (a page without a title)"),
    ],
)
def test_a_page_is_shown_by_its_title_and_json_by_its_version(url: str, path: str, shown: str) -> None:
    assert status.answer(url, _probe(path)) == shown


def test_a_service_that_does_not_answer_is_reported_with_the_error() -> None:
    assert status.answer("http://127.0.0.1:1/", _probe("/healthz")) == "no answer to GET /healthz (ConnectionError)"
