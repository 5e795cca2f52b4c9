"""What moto does where it has a gap becomes an error of AWS; what this package does wrong stays an internal error."""

import io
import json
import logging
from collections.abc import Callable, Iterable
from typing import Any
from unittest.mock import patch

import pytest

from localcloud.cloud import Cloud
from localcloud.requestlog import RequestLog
from localcloud.server import Application
from tests.fidelity.refusals import refused
from tests.localcloud.fault_support import running_api
from tests.localcloud.server_support import REGION, Server

EC2 = b"Action=DescribeInstances&Version=2016-11-15"


def ask(
    moto: Callable[..., Any], service: str = "ec2", body: bytes = EC2, **environ: str
) -> tuple[str, dict[str, str], str]:
    """Send a request to an application with that moto behind it, and return status, headers and body."""
    cloud = Cloud(name="test", region=REGION, bind="127.0.0.1", engine=None)  # type: ignore[arg-type]
    application = Application(cloud, moto, RequestLog(), lambda: None)
    begun: list[Any] = []
    answer = application(
        {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=AKIATEST/20260101/{REGION}/{service}/aws4_request, ",
            "wsgi.input": io.BytesIO(body),
            **environ,
        },
        lambda *given: begun.extend(given),
    )
    return begun[0], dict(begun[1]), b"".join(answer).decode(errors="replace")


def answering(status: str, body: bytes) -> Callable[..., Iterable[bytes]]:
    """Return a moto that gives that response."""

    def moto(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "text/html")])
        return [body]

    return moto


@pytest.mark.parametrize("status", ["404 NOT FOUND", "405 METHOD NOT ALLOWED"])
def test_a_page_of_html_becomes_an_error_that_names_the_embedded_cloud(status: str) -> None:
    line, headers, body = ask(answering(status, b"<!doctype html><title>404</title>"))

    assert (line, headers["Content-Type"]) == ("400 Bad Request", "text/xml;charset=UTF-8")
    assert "<Code>InvalidAction</Code><Message>The embedded cloud has nothing for POST / of ec2.</Message>" in body


def test_an_error_in_another_protocols_shape_is_written_anew() -> None:
    wrong = b"<ErrorResponse><Error><Code>Throttling</Code><Message>slow &amp; steady</Message></Error></ErrorResponse>"

    line, _, body = ask(answering("400 BAD REQUEST", wrong))

    assert line == "400 Bad Request"
    assert "<Response><Errors><Error><Code>Throttling</Code><Message>slow &amp; steady</Message>" in body


def test_an_error_of_aws_stays_as_it_is() -> None:
    right = b"<Response><Errors><Error><Code>Blocked</Code><Message>m</Message></Error></Errors></Response>"

    assert ask(answering("400 BAD REQUEST", right))[2] == right.decode()


def test_html_that_is_no_error_stays_as_it_is() -> None:
    page = b"<!doctype html>mine"

    assert ask(answering("200 OK", page), "s3", b"", REQUEST_METHOD="GET", PATH_INFO="/b/k")[2] == page.decode()


def test_a_mistake_of_this_package_is_an_internal_error_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def moto(*_: Any) -> Iterable[bytes]:
        raise KeyError("i-1")

    line, _, body = ask(moto)

    assert line == "500 Internal Server Error"
    assert "<Code>InternalError</Code>" in body
    assert ("localcloud.gaps", logging.ERROR, "ec2:DescribeInstances failed") in caplog.record_tuples


def test_a_member_that_the_model_has_as_optional_may_turn_out_to_be_missing() -> None:
    def moto(*_: Any) -> Iterable[bytes]:
        raise KeyError("MaxResults")

    line, _, body = ask(moto)

    assert line == "400 Bad Request"
    assert "<Code>MissingParameter</Code><Message>The request must contain the parameter MaxResults</Message>" in body


def test_a_check_that_fails_is_an_internal_error_too() -> None:
    with patch("localcloud.server.check", side_effect=RuntimeError):
        assert ask(answering("200 OK", b""))[0] == "500 Internal Server Error"


def test_a_name_that_moto_looks_up_in_vain_is_refused(records: Server) -> None:
    """Moto raises KeyError here."""
    with refused("InvalidParameterValue", text="The embedded cloud cannot process the parameters of ec2:DeleteTrans"):
        records.client("ec2").delete_transit_gateway(TransitGatewayId="tgw-0123456789abcdef0")


def test_an_action_that_moto_lacks_names_the_embedded_cloud(records: Server) -> None:
    with refused("InvalidAction", text="The embedded cloud does not have the action ec2:DescribeByoipCidrs."):
        records.client("ec2").describe_byoip_cidrs(MaxResults=5)
    with refused("UnknownOperationException", text="The embedded cloud does not have the action ssm:ListNodes."):
        records.client("ssm").list_nodes()


def test_a_service_that_there_is_not_names_the_embedded_cloud() -> None:
    line, _, body = ask(answering("200 OK", b""), "teleportation")

    assert line == "400 Bad Request"
    assert "The embedded cloud has no service 'teleportation'." in body


def test_a_request_in_cbor_gets_an_error_in_cbor() -> None:
    environ = {"HTTP_SMITHY_PROTOCOL": "rpc-v2-cbor", "PATH_INFO": "/service/GraniteServiceVersion20100801/operation/X"}

    line, headers, body = ask(answering("200 OK", b""), "monitoring", b"", **environ)

    assert (line, headers["smithy-protocol"]) == ("400 Bad Request", "rpc-v2-cbor")
    assert "UnknownOperationException" in body


def test_errors_of_other_protocols_are_in_their_shape() -> None:
    line, headers, body = ask(answering("404 NOT FOUND", b"<!doctype html>"), "lambda", b"", PATH_INFO="/x")

    assert (line, headers["x-amzn-ErrorType"]) == ("400 Bad Request", "UnknownOperationException")
    assert json.loads(body)["__type"] == "UnknownOperationException"


@pytest.mark.parametrize("length", ["", "many", "-1"])
def test_a_length_that_is_no_number_is_taken_for_none(length: str) -> None:
    assert ask(answering("200 OK", b""), CONTENT_LENGTH=length)[0] == "400 Bad Request"


def test_the_apis_own_clients_read_errors_in_every_protocol() -> None:
    with running_api() as api:
        with refused("InvalidInstanceID.NotFound"):
            api.client("ec2").describe_instances(InstanceIds=["i-0123456789abcdef0"])
        with refused("NoSuchBucket", 404):
            api.client("s3").list_objects_v2(Bucket="absent")
