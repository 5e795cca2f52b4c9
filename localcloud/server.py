"""The process: moto's server with this package's parts plugged in, on one port.

Clean-up comes first and last: what an earlier run of the same name left in the engine goes before anything starts,
and everything goes when the process is stopped.
"""

import gzip
import io
import json
import logging
import os
import signal
import socket
import threading
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import parse_qs

from localcloud import gaps
from localcloud.call import Call
from localcloud.cloud import Cloud
from localcloud.engine import Engine
from localcloud.exceptions import LocalCloudError
from localcloud.faults.middleware import FaultyApi
from localcloud.faults.responses import administer
from localcloud.problems import Problem, render
from localcloud.records import Records
from localcloud.requestlog import ARRIVED, CHUNKED, RequestLog, read_body, scope_of
from localcloud.validation import check

log = logging.getLogger(__name__)

ADMIN_PREFIX = "/_localcloud/"
MOTO_PREFIX = "/moto-api/"
METADATA_PREFIXES = ("/latest/meta-data", "/latest/dynamic", "/latest/user-data", "/latest/api/token")
ENDPOINTS = "GET health, GET and DELETE requests, GET, POST and DELETE faults"
KEEP_ENCODING = {"", "s3"}
"""Services whose bodies stay as they are encoded: S3 stores them."""
NO_ANSWER = 0
"""The status in the request log of a connection that ended without a response."""


@dataclass(frozen=True)
class Settings:
    """The command line's settings; see `python -m localcloud --help`."""

    name: str
    port: int
    engine: str = ""
    os_image: str = ""
    metadata_only: bool = False
    bind: str = "127.0.0.1"
    region: str = "eu-west-1"
    memory: str = "512m"
    network_cidr: str | None = None
    network: str | None = None
    enforce_iam: bool = False
    root_keys: Sequence[tuple[str, str, str]] = ()


class Part(Protocol):
    """What `install` of each part returns: threads and listeners that run as long as the server."""

    def start(self) -> None:
        """Begin; called once the API's backends are patched."""

    def stop(self) -> None:
        """End every thread and close every socket."""

    def reset(self) -> None:
        """Remove what it keeps outside moto's records, which are dropped right after."""


class Application:
    """The WSGI application: admin endpoints, the request log, faults, and one request at a time into moto.

    moto's state is plain dictionaries, and the cloud's own threads change it too; so a request holds the cloud's
    lock while moto works on it. The model's constraints, and IAM's policies where they are enforced, may refuse it
    before that. The body is read earlier, so that a slow client does not block the others.
    """

    def __init__(
        self,
        cloud: Cloud,
        moto: Callable[..., Iterable[bytes]],
        requests: RequestLog,
        reset: Callable[[], None],
        authorize: Callable[[Call], Problem | None] | None = None,
    ) -> None:
        self.cloud = cloud
        self.moto = moto
        self.requests = requests
        self.reset = reset
        self.authorize = authorize
        self._api = FaultyApi(self._to_moto, cloud.faults)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        path = environ.get("PATH_INFO", "")
        if path.startswith(ADMIN_PREFIX):
            return self._admin(environ, start_response)
        if path.startswith(MOTO_PREFIX):
            return self._motos_admin(environ, start_response)
        if path.startswith(METADATA_PREFIXES):
            error = "instance metadata is at http://169.254.169.254, from inside an instance"
            return _json(start_response, HTTPStatus.NOT_FOUND, {"error": error})
        body = b"".join(read_body(environ))
        if self.authorize:
            environ[ARRIVED] = (dict(environ), body)
        call = Call(environ, _unzipped(environ, body))
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        def note_status(line: str, *rest: Any) -> Any:
            nonlocal status
            status = int(line.split(maxsplit=1)[0])
            return start_response(line, *rest)

        try:
            return self._api(call, note_status)
        except ConnectionResetError:  # injected by a fault
            status = NO_ANSWER
            raise
        finally:
            self.requests.record(call.scope, call.action, status, environ)

    def _to_moto(self, call: Call, start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            wrong = check(call)  # needs no state, so it holds nobody up
            with self.cloud.lock:
                return self._answer(call, wrong, start_response)
        except Exception as error:  # noqa: BLE001 -- moto may raise anything
            return _refuse(call, gaps.problem_of(call, error), start_response)

    def _answer(self, call: Call, wrong: Problem | None, start_response: Callable[..., Any]) -> Iterable[bytes]:
        problem = (self.authorize(call) if self.authorize else None) or wrong
        begun, answer = ([], []) if problem else self._ask_moto(call)
        if not problem and (status := int(begun[0].split(maxsplit=1)[0])) >= HTTPStatus.BAD_REQUEST:
            problem = gaps.problem_in(call, status, b"".join(answer))
        if problem:
            return _refuse(call, problem, start_response)
        if self.cloud.firewall:
            self.cloud.firewall.note(call)
        start_response(*begun)
        return answer

    def _ask_moto(self, call: Call) -> tuple[list[Any], list[bytes]]:
        """Return what moto begins its response with, and its body."""
        environ = {**call.environ, "wsgi.input": io.BytesIO(call.body), "CONTENT_LENGTH": str(len(call.body))}
        environ.pop(CHUNKED, None)
        if call.service not in KEEP_ENCODING:
            environ.pop("HTTP_CONTENT_ENCODING", None)
        begun: list[Any] = []
        answer = list(self.moto(environ, lambda *given: begun.extend(given)))
        return begun, answer

    def _admin(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        endpoint = environ["PATH_INFO"].removeprefix(ADMIN_PREFIX)
        method = environ["REQUEST_METHOD"]
        status = HTTPStatus.OK
        answer: Any = None
        if (method, endpoint) == ("GET", "health"):
            answer = self.health()
        elif (method, endpoint) == ("GET", "requests"):
            since = parse_qs(environ.get("QUERY_STRING", "")).get("since", ["0"])[0]
            try:
                answer = self.requests.since(float(since))
            except ValueError:
                status = HTTPStatus.BAD_REQUEST
                answer = {"error": f"since={since!r} is not a number of seconds since the epoch"}
        elif endpoint == "faults" and method in {"GET", "POST", "DELETE"}:
            body = b"".join(read_body(environ))
            status, answer = administer(self.cloud.faults, method, environ.get("QUERY_STRING", ""), body)
        elif (method, endpoint) == ("DELETE", "requests"):
            self.requests.clear()
            status = HTTPStatus.NO_CONTENT
        else:
            status = HTTPStatus.NOT_FOUND
            answer = {"error": f"no {method} {environ['PATH_INFO']}; there are {ENDPOINTS}"}
        return _json(start_response, status, answer)

    def _motos_admin(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Reset everything, or refuse: moto's other endpoints change records behind the back of what runs here."""
        request = (environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(MOTO_PREFIX))
        if request == ("POST", "reset"):
            self.reset()
            return _json(start_response, HTTPStatus.OK, {"status": "ok"})
        error = f"the embedded cloud has POST {MOTO_PREFIX}reset only of moto's endpoints, and its own: {ENDPOINTS}"
        return _json(start_response, HTTPStatus.NOT_FOUND, {"error": error})

    def health(self) -> dict[str, str]:
        """Return what the set-up and the pipeline's environment need to know about this cloud."""
        return {
            "status": "ok",
            "name": self.cloud.name,
            "region": self.cloud.region,
            "account_id": self.cloud.account_id,
            "instances": "containers" if self.cloud.engine.runs_machines else "records",
            "iam": "enforced" if self.authorize else "off",
            "network": self.cloud.engine.network_name,
            "network_cidr": self.cloud.engine.cidr,
            "security_groups": self.cloud.firewall.state if self.cloud.firewall else "recorded",
        }


def serve(settings: Settings, announce: Callable[[str], None], fill: Callable[[Cloud], None] = lambda _: None) -> None:
    """Run the embedded cloud until SIGTERM, SIGINT or SIGHUP, then remove all it made.

    Args:
        settings: What to run.
        announce: Called once with the API's address, when it answers.
        fill: Adds initial state; called before the API answers.

    Raises:
        LocalCloudError: it cannot start; with the reason and what to do.
    """
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    with ExitStack() as stack:
        stack.enter_context(_only_one(settings.name))
        listener = stack.enter_context(_listen(settings.bind, settings.port))
        engine = (
            Records(settings.name)
            if settings.metadata_only
            else Engine(settings.engine, settings.name, settings.memory)
        )
        engine.connect()
        os_image = engine.image_id(settings.os_image)
        if os_image is None:
            raise LocalCloudError(
                f"the engine at {settings.engine} has no image {settings.os_image!r}: build it with `make setup`, "
                "or name another with --os-image"
            )
        engine.clean_up()
        stack.callback(engine.clean_up)
        if settings.network:
            engine.join_network(settings.network)
        else:
            engine.create_network(settings.network_cidr)
        cloud = Cloud(name=settings.name, region=settings.region, bind=settings.bind, engine=engine)
        parts = install(cloud, os_image)
        authorize = None
        if settings.enforce_iam:
            from localcloud import iam

            authorize = iam.enforce(cloud, settings.root_keys)
        for part in parts:
            part.start()
            stack.callback(part.stop)
        fill(cloud)

        def start_anew() -> None:
            reset(cloud, parts)
            fill(cloud)

        application = Application(cloud, _moto_application(), RequestLog(), start_anew, authorize)
        server = _http_server(listener, application)
        stack.callback(server.server_close)
        threading.Thread(target=server.serve_forever, name="api", daemon=True).start()
        stack.callback(server.shutdown)
        announce(f"http://{settings.bind}:{server.port}")
        ended.wait()


def install(cloud: Cloud, os_image: str) -> list[Part]:
    """Plug every part into moto, and return those that run threads, in starting order."""
    # moto reads these at import, so nothing may import it earlier.
    os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"  # instance roles carry Systems Manager's
    from localcloud import autoscaling, cloudwatch, ec2, elbv2, faults, s3, serializer, ssm, vpc

    serializer.install()
    watch = ec2.install(cloud, os_image)
    ssm.install(cloud)
    s3.install()
    cloudwatch.install()
    balancers = elbv2.install(cloud)
    return [vpc.install(cloud, os_image), watch, balancers, autoscaling.install(cloud), faults.install(cloud)]


def reset(cloud: Cloud, parts: Iterable[Part]) -> None:
    """Drop everything in every account and region: machines, images and listeners first, then moto's records."""
    from moto.moto_api._internal.models import moto_api_backend

    # Held although containers are waited for: nothing may be launched meanwhile.
    with cloud.lock:
        for part in parts:
            part.reset()
        moto_api_backend.reset()
    cloud.engine.remove_images()


def _unzipped(environ: Mapping[str, Any], body: bytes) -> bytes:
    """Return a request's body without the compression that SDKs use for long ones."""
    if environ.get("HTTP_CONTENT_ENCODING") == "gzip" and scope_of(environ).service not in KEEP_ENCODING:
        with suppress(OSError, EOFError, zlib.error):
            return gzip.decompress(body)
    return body


def _refuse(call: Call, problem: Problem, start_response: Callable[..., Any]) -> Iterable[bytes]:
    status, headers, body = render(problem, call.protocol, call.environ["REQUEST_METHOD"])
    start_response(status, headers)
    return [body]


def _json(start_response: Callable[..., Any], status: HTTPStatus, answer: Any) -> Iterable[bytes]:
    body = b"" if answer is None else json.dumps(answer).encode()
    start_response(
        f"{status.value} {status.phrase}", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    )
    return [body]


def _listen(bind: str, port: int) -> socket.socket:
    """Bind the API's port. It comes first, so that a failed start changes nothing.

    Raises:
        LocalCloudError: the address is in use or not ours.
    """
    try:
        return socket.create_server((bind, port), backlog=128)
    except OSError as error:
        raise LocalCloudError(f"cannot listen on {bind}:{port} ({error.strerror}): name another --port") from error


def _http_server(listener: socket.socket, application: Callable[..., Iterable[bytes]]) -> Any:
    """Return a threaded HTTP server for the application on a socket that listens already."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler
    from werkzeug.serving import make_server

    class QuietHandler(MotoRequestHandler):
        """moto's handler without a line on standard error per request: the request log has them."""

        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 # werkzeug's name
            log.debug(message, *args)

    host, port = listener.getsockname()[:2]
    server = make_server(host, port, application, threaded=True, request_handler=QuietHandler, fd=listener.detach())
    server.daemon_threads = True  # type: ignore[attr-defined] # a mix-in's attribute that the stubs leave out
    return server


def _moto_application() -> Callable[..., Iterable[bytes]]:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def _only_one(name: str) -> socket.socket:
    """Hold an abstract socket for as long as the process lives: two clouds of one name would destroy each other's.

    Raises:
        LocalCloudError: another process holds it.
    """
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        holder.bind(f"\0rebake-localcloud-{name}")
    except OSError as error:
        holder.close()
        raise LocalCloudError(
            f"an embedded cloud named {name!r} is already running: stop it with `make down`, or give this one "
            "another --name"
        ) from error
    return holder
