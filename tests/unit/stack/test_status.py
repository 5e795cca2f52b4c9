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
    """Return where a service answers."""
    with HTTPServer(("127.0.0.1", 0), _Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _probe(*paths: str) -> Probe:
    return Probe(http=tuple(HttpCheck(path=path) for path in paths))


def test_a_service_is_asked_what_its_probe_asks_first(url: str) -> None:
    assert status.answer(url, _probe("/healthz", "/version")) == "HTTP 200 to GET /healthz: ok"
    assert status.answer(url, _probe("/missing")) == "HTTP 404 to GET /missing: (empty)"
    assert status.answer(url, _probe()) == "not requested: its probe has no HTTP check"


def test_control_characters_of_an_answer_do_not_reach_the_terminal(url: str) -> None:
    shown = status.answer(url, _probe("/hostile"))

    assert shown.isprintable()
    assert shown == "HTTP 503 to GET /hostile: [2J ]0;title down \N{REPLACEMENT CHARACTER} x"


def test_a_long_answer_is_cut(url: str) -> None:
    assert len(status.answer(url, _probe("/endless"))) < 300


def test_a_service_that_does_not_answer_is_reported_with_the_error() -> None:
    assert status.answer("http://127.0.0.1:1/", _probe("/healthz")) == "no answer to GET /healthz (ConnectionError)"
