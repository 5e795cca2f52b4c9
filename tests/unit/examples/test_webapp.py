"""The sample service, started for real from its artifact and asked over the loopback interface."""

import json
import os
import signal
import socket
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from examples.webapp import build
from examples.webapp.root.webapp.settings import Settings, SettingsError
from examples.webapp.root.webapp.state import LATE_SECONDS, State

TIMEOUT = 20


@dataclass
class Service:
    """A running service: its process, and the port that it said it listens on."""

    process: subprocess.Popen[str]
    port: int
    connections: list[HTTPConnection] = field(default_factory=list)

    def line(self) -> str:
        """Return the next line of its output, waiting for it."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def connect(self) -> HTTPConnection:
        self.connections.append(HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT))
        return self.connections[-1]

    def get(self, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
        return ask(self.connect(), path, method)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)


def ask(connection: HTTPConnection, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    connection.request(method, path)
    response = connection.getresponse()
    return response, response.read()


def unpack(folder: Path, version: str = "1.2.3", fault: str = "") -> Path:
    archive = build.build(version, folder / "build", fault)
    with tarfile.open(archive) as artifact:
        artifact.extractall(folder / "webapp", filter="tar")
    return folder / "webapp"


Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Service] = []

    def launch(fault: str = "", **settings: str) -> Service:
        program = unpack(tmp_path, fault=fault) / "bin" / "webapp"
        environ = {
            **os.environ,
            "WEBAPP_BIND": "127.0.0.1",
            "WEBAPP_PORT": "0",
            "WEBAPP_DRAIN_SECONDS": "0",
            **settings,
        }
        process = subprocess.Popen([str(program)], env=environ, stdout=subprocess.PIPE, text=True)
        service = Service(process, 0)
        running.append(service)
        service.port = int(service.line().rpartition(":")[2])
        return service

    yield launch
    for service in running:
        for connection in service.connections:
            connection.close()
        service.process.kill()
        service.process.communicate()


def healthcheck(root: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(root / "bin" / "healthcheck"), *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )


def test_version_names_the_version_of_the_artifact_and_the_host(start: Start) -> None:
    response, body = start().get("/version")

    assert response.status == 200
    assert response.headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"version": "1.2.3", "host": socket.gethostname(), "instance_id": None}
    assert b'"1.2.3"' in body


def test_page_shows_the_version_and_the_host(start: Start) -> None:
    response, body = start().get("/")

    assert response.status == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<h1>1.2.3</h1>" in body.decode()
    assert f"<code>{socket.gethostname()}</code>" in body.decode()


def test_one_connection_carries_many_requests(start: Start) -> None:
    connection = start().connect()

    for path in ("/healthz", "/version", "/", "/nowhere", "/healthz"):
        response, _ = ask(connection, path)
        assert response.version == 11
        assert response.headers["Connection"] is None
        connected = connection.sock
        assert connected is not None, f"closed after {path}"


def test_head_answers_like_get_without_a_body(start: Start) -> None:
    connection = start().connect()

    response, body = ask(connection, "/version", "HEAD")
    after, after_body = ask(connection, "/version")

    assert (response.status, body) == (200, b"")
    assert int(response.headers["Content-Length"]) == len(after_body)
    assert after.status == 200


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/nowhere", 404, "no such page: /nowhere"),
        ("/wait?seconds=31", 400, "seconds='31': must be from 0 to 30"),
        ("/wait?seconds=soon", 400, "seconds='soon': must be from 0 to 30"),
        ("/wait?seconds=nan", 400, "seconds='nan': must be from 0 to 30"),
    ],
)
def test_a_bad_request_is_answered_with_one_sentence(start: Start, path: str, status: int, message: str) -> None:
    response, body = start().get(path)

    assert response.status == status
    assert json.loads(body) == {"error": message}


def test_a_body_is_not_taken_for_the_next_request(start: Start) -> None:
    with socket.create_connection(("127.0.0.1", start().port), TIMEOUT) as client:
        smuggled = b"GET /nowhere HTTP/1.1\r\n\r\n"
        client.sendall(b"GET /healthz HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(smuggled), smuggled))
        answer = b"".join(iter(lambda: client.recv(4096), b""))

    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


def test_slow_requests_are_answered_side_by_side(start: Start) -> None:
    service = start()
    slow = service.connect()
    slow.request("GET", "/wait?seconds=0.5")

    quick, _ = service.get("/version")
    waited = slow.getresponse()

    assert (quick.status, waited.status) == (200, 200)


def test_a_draining_service_keeps_answering_and_sends_its_clients_away(start: Start) -> None:
    service = start(WEBAPP_DRAIN_SECONDS="60")
    kept = service.connect()
    ask(kept, "/version")

    service.process.send_signal(signal.SIGTERM)
    assert service.line() == "webapp: stopping, draining for 60 s"
    health, health_body = service.get("/healthz")
    new, _ = service.get("/version")
    old, _ = ask(kept, "/version")

    assert (health.status, json.loads(health_body)) == (503, {"status": "draining"})
    assert (new.status, new.headers["Connection"]) == (200, "close")
    assert (old.status, old.headers["Connection"]) == (200, "close")
    assert service.stop() == 0, "a second SIGTERM ends the drain at once"
    assert service.line() == "webapp: stopped"


def test_an_answer_that_has_begun_is_finished_after_the_drain(start: Start) -> None:
    service = start(WEBAPP_DRAIN_SECONDS="0.2")
    slow = service.connect()
    ask(slow, "/version")
    slow.request("GET", "/wait?seconds=1")

    status = service.stop()

    response = slow.getresponse()
    assert (response.status, json.loads(response.read())) == (200, {"waited": 1.0})
    assert status == 0


def test_a_stop_that_cuts_an_answer_short_says_so(start: Start) -> None:
    service = start(WEBAPP_DRAIN_SECONDS="0.2", WEBAPP_FINISH_SECONDS="0")
    slow = service.connect()
    ask(slow, "/version")
    slow.request("GET", "/wait?seconds=30")

    assert service.stop() == 1
    assert service.line().startswith("webapp: stopping")
    assert service.line() == "webapp: stopped; some answers were cut short"


def test_systemd_is_notified_when_the_service_is_ready_and_when_it_stops(start: Start, tmp_path: Path) -> None:
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(address))
        channel.settimeout(TIMEOUT)
        service = start(NOTIFY_SOCKET=str(address))

        assert channel.recv(64) == b"READY=1"
        assert service.get("/healthz")[0].status == 200
        service.stop()
        assert channel.recv(64) == b"STOPPING=1"


def test_the_access_log_is_off_by_default_and_one_json_object_a_request_when_on(start: Start) -> None:
    quiet = start()
    quiet.get("/version")
    quiet.stop()
    loud = start(WEBAPP_ACCESS_LOG="1")
    loud.get("/version")
    entry = json.loads(loud.line())

    assert quiet.line() == "webapp: stopping, draining for 0 s"
    assert entry["ms"] >= 0
    assert {key: entry[key] for key in ("client", "method", "path", "status")} == {
        "client": "127.0.0.1",
        "method": "GET",
        "path": "/version",
        "status": 200,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WEBAPP_PORT", "http", "WEBAPP_PORT='http': must be a number from 0 to 65535"),
        ("WEBAPP_PORT", "65536", "WEBAPP_PORT='65536': must be a number from 0 to 65535"),
        ("WEBAPP_DRAIN_SECONDS", "-1", "WEBAPP_DRAIN_SECONDS='-1': must be a number from 0 to 3600"),
        ("WEBAPP_ACCESS_LOG", "yes", "WEBAPP_ACCESS_LOG='yes': must be 0 or 1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(tmp_path: Path, name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.read({name: value}, tmp_path)

    assert str(caught.value) == message


def test_a_port_in_use_ends_with_a_message(start: Start, tmp_path: Path) -> None:
    port = start().port

    second = subprocess.run(
        [str(tmp_path / "webapp" / "bin" / "webapp")],
        env={**os.environ, "WEBAPP_BIND": "127.0.0.1", "WEBAPP_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )

    assert second.returncode == 2
    assert second.stderr == "webapp: [Errno 98] Address already in use\n"


def test_the_self_test_passes_without_the_service(tmp_path: Path) -> None:
    result = healthcheck(unpack(tmp_path), "--self-test")

    assert (result.returncode, result.stdout) == (0, "healthcheck: webapp 1.2.3 works\n")


def test_the_health_check_asks_the_running_service(start: Start, tmp_path: Path) -> None:
    service = start()
    root = tmp_path / "webapp"
    well = healthcheck(root, WEBAPP_PORT=str(service.port))
    (root / "VERSION").write_text("1.2.4\n", encoding="utf-8")
    other = healthcheck(root, WEBAPP_PORT=str(service.port))
    service.stop()
    gone = healthcheck(root, WEBAPP_PORT=str(service.port))

    assert (well.returncode, well.stdout) == (0, "healthcheck: webapp 1.2.3 works\n")
    assert other.returncode == 1
    assert other.stderr == "healthcheck: webapp: /version says '1.2.3', but '1.2.4' is installed here\n"
    assert gone.returncode == 1
    assert f"no answer to /healthz on port {service.port}" in gone.stderr


def test_the_self_test_reports_that_the_service_does_not_start(tmp_path: Path) -> None:
    root = unpack(tmp_path)
    (root / "webapp" / "server.py").write_text("raise SystemExit('no such luck')\n", encoding="utf-8")

    result = healthcheck(root, "--self-test")

    assert result.returncode == 1
    assert "healthcheck: webapp: did not start" in result.stderr


def test_a_build_broken_at_the_self_test_fails_it(tmp_path: Path) -> None:
    result = healthcheck(unpack(tmp_path, fault="self-test"), "--self-test")

    assert result.returncode == 1
    assert "/healthz on port" in result.stderr
    assert 'answered 500: {"status": "failing"}' in result.stderr


def test_a_build_broken_at_healthz_passes_the_self_test_and_fails_on_an_instance(start: Start, tmp_path: Path) -> None:
    response, body = start(fault="healthz").get("/healthz")
    tested = healthcheck(tmp_path / "webapp", "--self-test")

    assert (response.status, json.loads(body)) == (500, {"status": "failing"})
    assert tested.returncode == 0


def test_a_build_broken_late_is_healthy_for_a_while() -> None:
    now = [100.0]
    settings = Settings(version="1.2.3", host="here", instance_id=None, fault="late")
    state = State(settings, clock=lambda: now[0])
    seen: list[Any] = []
    for seconds in (0, LATE_SECONDS - 0.1, LATE_SECONDS):
        now[0] = 100.0 + seconds
        seen.append(state.health())

    assert seen == [(200, "ok"), (200, "ok"), (500, "failing")]


def test_waiting_for_the_last_answers_ends_when_they_do() -> None:
    state = State(Settings(version="1.2.3", host="here", instance_id=None, fault=""))
    answering, may_end = threading.Event(), threading.Event()

    def answer() -> None:
        with state:
            answering.set()
            may_end.wait(TIMEOUT)

    thread = threading.Thread(target=answer)
    thread.start()
    answering.wait(TIMEOUT)

    assert state.wait_until_idle(0) is False
    may_end.set()
    assert state.wait_until_idle(TIMEOUT) is True
    thread.join(TIMEOUT)
