"""Random requests from botocore's own models, and what a client makes of the responses."""

import http.client
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore.model import OperationModel, ServiceModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.session import get_session
from hypothesis import strategies as st
from moto.acm.responses import AWSCertificateManagerResponse
from moto.cloudwatch.responses import CloudWatchResponse
from moto.iam.responses import IamResponse
from moto.s3.responses import S3Response
from moto.sts.responses import TokenResponse

from localcloud.coverage.actions import Service, services
from localcloud.gaps import UNPROCESSED
from tests.localcloud.server_support import REGION

SECONDS = 20
WORST = 10
"""How many of the actions that moto fails at a summary names."""
STRINGS = [
    "a",
    "name-1",
    "",
    "x" * 300,
    "ünïcödé ☃",
    "<b>&amp;",
    "*",
    "-1",
    "0",
    "null",
    "a/b",
    "2026-01-01",
    "{}",
    "\0",
]
NUMBERS = [0, 1, 2, 5, 10, 100, 1000, -1, 2**31 - 1, 2**31, 2**63, -(2**63)]
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "timestamp": st.sampled_from(["2026-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2030-06-01T12:00:00Z"]),
    "blob": st.sampled_from([b"", b"abc", b"#!/bin/sh\n", b"\xff\x00", b"{}"]),
}
ODDITIES = [*STRINGS, *NUMBERS, [], {}, ["a"], {"a": "b"}, True]
DEPTH = 4
"""Below how many levels optional members are left out."""
BEGINNINGS = {
    "VpcId": "vpc-",
    "SubnetId": "subnet-",
    "Subnet": "subnet-",
    "InstanceId": "i-",
    "ImageId": "ami-",
    "SecurityGroupId": "sg-",
    "GroupId": "sg-",
    "LaunchTemplateId": "lt-",
    "VolumeId": "vol-",
    "SnapshotId": "snap-",
    "NetworkInterfaceId": "eni-",
    "InstanceType": "t3.",
    "Zone": "eu-west-1",
    "Arn": "arn:",
    "Key": "a/b",
    "CidrBlock": "10.",
    "Name": "fuzz",
    "Bucket": "fuzz",
    "Cidr": "10.",
    "Id": "fuzz",
}
"""How the names that suit a member begin, by the end of the member's name."""
WHOLE_IDS = re.compile(r"\b[a-z]+-[0-9a-f]{17}\b|\barn:aws:[^<\s\"]+")


@dataclass
class Failure:
    """A response that no client of AWS would ever get."""

    action: str
    why: str
    request: str
    answer: str

    def __str__(self) -> str:
        return f"{self.action}: {self.why}\n    {self.request}\n    {self.answer}"


def flaw(operation: OperationModel, status: int, headers: Mapping[str, str], body: bytes, method: str) -> str:
    """Return what is wrong with a response; "" for one that AWS could give."""
    if status >= 500:
        return "an internal error"
    if body.lstrip()[:9].lower() in {b"<!doctype", b"<html"} and status != 200:
        return "HTML"
    names = {name.lower(): value for name, value in headers.items()}
    response = {"body": body, "headers": names, "status_code": status, "context": {"operation_name": operation.name}}
    try:
        protocol = protocol_of(operation.service_model)
        if protocol == "json" and body[:5] == b"<?xml":
            protocol = "query"  # the answer to a broken request of a service that speaks both
        parsed = {} if method == "HEAD" else create_parser(protocol).parse(response, operation.output_shape)
    except Exception as error:  # noqa: BLE001 -- whatever a client would stumble over
        return f"unreadable: {error!r}"
    code = parsed.get("Error", {}).get("Code", "") if isinstance(parsed, dict) else ""
    if status >= 400 and method != "HEAD" and (not code or code.isdecimal()):
        return "an error without a code"
    return ""


def protocol_of(model: ServiceModel) -> str:
    """Return the protocol that boto3 would speak."""
    return str(model.resolved_protocol)


def actions() -> dict[str, list[OperationModel]]:
    """Return the actions that this package or moto answers, by service."""
    adopted = [
        Service(name, name, response, object, None, {})
        for name, response in {
            "acm": AWSCertificateManagerResponse,
            "cloudwatch": CloudWatchResponse,
            "iam": IamResponse,
            "s3": S3Response,
            "sts": TokenResponse,
        }.items()
    ]
    found = {service.name: [*service.changed, *service.motos] for service in [*services(), *adopted]}
    models = {name: get_session().get_service_model(name) for name in found}
    return {name: [models[name].operation_model(each) for each in found[name]] for name in found}


def _header(value: object) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", str(value))


@dataclass(frozen=True)
class Known:
    """Stands for a name that exists when the request is sent: what is drawn may not depend on it.

    Args:
        member: The member that it is for.
        number: Which one, of those that suit.
    """

    member: str
    number: int

    def among(self, known: list[str]) -> str:
        """Return the name."""
        begins = next((start for ending, start in BEGINNINGS.items() if self.member.rstrip("s").endswith(ending)), "")
        suiting = [name for name in known if name.startswith(begins)] or known
        return suiting[self.number % len(suiting)]


@dataclass(frozen=True)
class Case:
    """One request to send.

    Args:
        operation: Its action.
        parameters: By the model's names.
        damage: How it is broken on its way, or None.
        fits: Whether it is one that fits the model.
    """

    operation: OperationModel
    parameters: dict[str, Any]
    damage: Callable[[dict[str, Any]], object] | None
    fits: bool

    def request(self, known: list[str]) -> dict[str, Any]:
        """Return it as botocore writes it; where it cannot, an empty one."""
        serializer = create_serializer(protocol_of(self.operation.service_model), include_validation=False)
        try:
            request: dict[str, Any] = serializer.serialize_to_request(_named(self.parameters, known), self.operation)
        except Exception:  # noqa: BLE001 -- botocore cannot write every value that is not of its type
            method = self.operation.http["method"]
            request = {"url_path": "/", "query_string": "", "method": method, "headers": {}, "body": b""}
        if self.damage:
            self.damage(request)
        return request


def _named(value: Any, known: list[str]) -> Any:
    if isinstance(value, Known):
        return value.among(known)
    if isinstance(value, dict):
        return {key: _named(each, known) for key, each in value.items()}
    return [_named(each, known) for each in value] if isinstance(value, list) else value


@dataclass
class Fuzzer:
    """Sends requests to a cloud, and keeps what is wrong with its responses.

    Args:
        url: The cloud's address.
        known: Names of resources that exist, used in requests.
        unprocessed: How many requests moto failed at, by action; not failures, though AWS may have processed them.
        unprocessed_fits: How many of these fit the model.
    """

    url: str
    known: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unprocessed: Counter[str] = field(default_factory=Counter)
    unprocessed_fits: Counter[str] = field(default_factory=Counter)
    _connection: http.client.HTTPConnection | None = None

    def summary(self) -> str:
        """Return what came back, for people."""
        worst = ", ".join(f"{action} {number}" for action, number in self.unprocessed.most_common(WORST))
        fitting = self.unprocessed_fits.total()
        return (
            f"{self.statuses.total()} calls; how many of each status: {dict(self.statuses)}\n"
            f"'{UNPROCESSED}': {self.unprocessed.total()} calls, {fitting} of which fit the model; "
            f"most often: {worst or 'none'}"
        )

    def send(self, case: Case) -> None:
        """Send a request and judge the response."""
        operation, request = case.operation, case.request(self.known)
        if self._connection is None:
            self._connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=SECONDS)
        path, query, body = request["url_path"], request["query_string"], request["body"]
        query = query if isinstance(query, str) else urlencode(query, doseq=True)
        body = urlencode(body, doseq=True) if isinstance(body, dict) else body
        body = body.encode() if isinstance(body, str) else body
        scope = f"AKIATEST/20260101/{REGION}/{operation.service_model.signing_name}/aws4_request"
        signature = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        headers = {name: _header(value) for name, value in request["headers"].items()}
        headers |= {"Authorization": signature, "Content-Length": str(len(body or b""))}
        address = path + ("?" if "?" not in path else "&") * bool(query) + query
        status, text, why = 0, b"", ""
        try:
            self._connection.request(request["method"], address, body or b"", headers)
            response = self._connection.getresponse()
            status, text = response.status, response.read()
            why = flaw(operation, status, dict(response.getheaders()), text, request["method"])
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            why = repr(error)
        self.statuses[status] += 1
        action = f"{operation.service_model.service_name}:{operation.name}"
        if UNPROCESSED.encode() in text:
            self.unprocessed[action] += 1
            self.unprocessed_fits[action] += case.fits
        if why:
            sent = f"{request['method']} {address} {headers} {body!r}"
            self.failures.append(Failure(action, why, sent, f"{status} {text[:500].decode(errors='replace')}"))
        self.known += [found for found in WHOLE_IDS.findall(text.decode(errors="replace"))[:3] if len(self.known) < 500]


@st.composite
def cases(draw: st.DrawFn, operations: Mapping[str, list[OperationModel]]) -> Case:
    """Draw a request: one that fits the model in half of the cases, else one that is broken somewhere."""
    operation = draw(st.sampled_from(operations[draw(st.sampled_from(sorted(operations)))]))
    breaks = draw(st.booleans())
    parameters = draw(_values(operation.input_shape, 0, breaks=breaks)) if operation.input_shape else {}
    parameters = parameters if isinstance(parameters, dict) else {}
    return Case(operation, parameters, draw(st.none() | st.sampled_from(DAMAGES)) if breaks else None, not breaks)


def _damages() -> Iterator[Callable[[dict[str, Any]], object]]:
    """Yield ways to break a request on its way."""
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"):
        yield lambda request, method=method: request.update(method=method)
    for path in ("/", "/a", "/a/b", "/a/b/c?acl", "/?x", "/%ff", "//"):
        yield lambda request, path=path: request.update(url_path=path)
    for body in ("{", "[]", "null", "1", "<a>", b"\xff\xfe", "Action", "%zz=%", "&&==", "Action=%00", "a" * 10_000):
        yield lambda request, body=body: request.update(body=body)
    for name in ("Filter.1.Name", "Foo", "Tags", "Action", "Version", "Filter.1.Value.1"):
        yield (
            lambda request, name=name: (
                request["body"].update({name: "x"}) if isinstance(request["body"], dict) else None
            )
        )
    yield lambda request: request["headers"].clear()
    yield lambda request: request["headers"].update({"X-Amz-Target": "AmazonSSM.Foo"})
    yield lambda request: request["headers"].update({"Content-Type": "text/plain"})
    yield lambda request: request["headers"].update({"Content-Encoding": "gzip"})


DAMAGES = list(_damages())


@st.composite
def _values(draw: st.DrawFn, shape: Any, depth: int, member: str = "", *, breaks: bool) -> Any:
    """Draw a value of a shape, or sometimes, when it may, of another."""
    kind = shape.type_name
    if breaks and draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from(ODDITIES))
    if kind in {"structure", "list", "map"}:
        return draw(_collections(shape, depth, member, breaks=breaks))
    if kind in SCALARS:
        return draw(SCALARS[kind])
    return draw(_texts(shape, member, breaks=breaks) if kind == "string" else _numbers(shape, breaks=breaks))


@st.composite
def _collections(draw: st.DrawFn, shape: Any, depth: int, member: str, *, breaks: bool) -> Any:
    if shape.type_name == "structure":
        members = {name: each for name, each in shape.members.items() if draw(_wanted(shape, name, depth, breaks))}
        return {name: draw(_values(each, depth + 1, name, breaks=breaks)) for name, each in members.items()}
    if shape.type_name == "list":
        size = min(shape.metadata.get("min", 0), 5) or draw(st.integers(0, 2))
        size = size if depth < DEPTH + 2 else 0
        return [draw(_values(shape.member, depth + 1, member, breaks=breaks)) for _ in range(size)]
    keys, values = (_values(each, depth + 1, breaks=breaks) for each in (shape.key, shape.value))
    return draw(st.dictionaries(keys.map(str), values, max_size=2))


def _wanted(shape: Any, name: str, depth: int, breaks: bool) -> st.SearchStrategy[bool]:
    """Draw whether a structure gets that member."""
    if name in shape.required_members:
        return st.integers(0, 9).map(bool) if breaks else st.just(True)
    return st.integers(0, 2 + 3 * depth).map(lambda number: number == 0) if depth < DEPTH else st.just(False)


def _numbers(shape: Any, *, breaks: bool) -> st.SearchStrategy[int]:
    smallest, largest = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 20))
    fitting = st.integers(smallest, max(smallest, min(largest, smallest + 20)))
    return fitting | st.sampled_from(NUMBERS) if breaks else fitting


def _texts(shape: Any, member: str, *, breaks: bool) -> st.SearchStrategy[Any]:
    smallest, largest = shape.metadata.get("min", 0), shape.metadata.get("max", 60)
    if shape.enum and not breaks:
        return st.sampled_from(list(shape.enum))
    fitting = st.text("abcdefghij-0123456789", min_size=smallest, max_size=max(smallest, min(largest, smallest + 12)))
    exists = st.builds(Known, st.just(member), st.integers(0, 300))
    pattern = shape.metadata.get("pattern")
    if pattern and not breaks:
        try:
            return st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True) | exists
        except re.error:
            return fitting
    return (st.sampled_from(list(shape.enum)) | exists) if shape.enum else (fitting | exists)
