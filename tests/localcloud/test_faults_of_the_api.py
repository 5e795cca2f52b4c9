"""Faults of the API, as real clients meet them over HTTP."""

import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.retries.standard import RetryContext, ThrottledRetryableChecker, TransientRetryableChecker

from localcloud.call import Call
from localcloud.faults import Faults
from localcloud.faults.middleware import FaultyApi
from rebake.aws_errors import is_transient
from tests.localcloud.fault_support import Api, running_api

THROTTLED = {
    "ec2": ("describe_instances", "RequestLimitExceeded", 503),
    "autoscaling": ("describe_auto_scaling_groups", "Throttling", 400),
    "elbv2": ("describe_load_balancers", "Throttling", 400),
    "ssm": ("describe_parameters", "ThrottlingException", 400),
    "s3": ("list_buckets", "SlowDown", 503),
    "iam": ("list_roles", "Throttling", 400),
    "sts": ("get_caller_identity", "Throttling", 400),
    "cloudwatch": ("describe_alarms", "ThrottlingException", 400),
}
"""A call of each service, and how AWS throttles it."""
BROKEN = {
    "ec2": ("InternalError", "Unavailable"),
    "autoscaling": ("InternalFailure", "ServiceUnavailable"),
    "elbv2": ("InternalFailure", "ServiceUnavailable"),
    "ssm": ("InternalServerError", "ServiceUnavailable"),
    "s3": ("InternalError", "ServiceUnavailable"),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Api]:
    with running_api() as running:
        location = {"LocationConstraint": "eu-west-1"}
        running.client("s3").create_bucket(Bucket="states", CreateBucketConfiguration=location)
        yield running


@pytest.fixture
def api(server: Api) -> Iterator[Api]:
    yield server
    server.admin("DELETE")


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the pauses between a client's attempts away."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None, time=lambda: 0.0))


def call(client: Any, service: str) -> Any:
    return getattr(client, THROTTLED[service][0])()


def refusal(api: Api, service: str) -> ClientError:
    with pytest.raises(ClientError) as refused:
        call(api.client(service), service)
    return refused.value


def code_and_status(error: ClientError) -> tuple[str, int]:
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def context(error: ClientError) -> RetryContext:
    _, status = code_and_status(error)
    return RetryContext(1, parsed_response=error.response, http_response=SimpleNamespace(status_code=status))


@pytest.mark.parametrize("service", THROTTLED)
def test_throttling_is_what_botocore_takes_for_throttling(api: Api, service: str) -> None:
    """Each service's own code and status, in its own protocol, and the pipeline retries after it."""
    api.fault("throttle", action=f"{service}:*")

    error = refusal(api, service)

    assert code_and_status(error) == THROTTLED[service][1:]
    assert ThrottledRetryableChecker().is_retryable(context(error))
    assert is_transient(error)


@pytest.mark.parametrize("service", BROKEN)
@pytest.mark.parametrize("status", [500, 503])
def test_errors_are_what_botocore_takes_for_passing(api: Api, service: str, status: int) -> None:
    """A code of the service's own; retried because of the status, without counting as throttling."""
    api.fault("error", action=f"{service}:*", status=status)

    error = refusal(api, service)

    assert code_and_status(error) == (BROKEN[service][status == 503], status)
    assert TransientRetryableChecker().is_retryable(context(error))
    assert not ThrottledRetryableChecker().is_retryable(context(error))
    assert is_transient(error)


@pytest.mark.parametrize("mode", ["legacy", "standard"])
@pytest.mark.parametrize("service", THROTTLED)
@pytest.mark.parametrize("kind", ["throttle", "error", "unavailable"])
def test_a_client_that_retries_gets_past_two_faults(
    api: Api, no_pauses: None, kind: str, service: str, mode: str
) -> None:
    fault = api.fault(kind, action=f"{service}:*", limit=2)

    answer = call(api.client(service, retries={"mode": mode, "total_max_attempts": 3}), service)

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert api.fired(fault) == 2


def test_an_error_can_be_any_error_of_aws(api: Api) -> None:
    api.fault("error", action="autoscaling:DescribeAutoScalingGroups", code="ResourceContention", status=500)
    api.fault("error", action="elbv2:*", code="AccessDenied", status=403)

    assert code_and_status(refusal(api, "autoscaling")) == ("ResourceContention", 500)
    assert code_and_status(refusal(api, "elbv2")) == ("AccessDenied", 403)


def test_only_the_actions_that_are_named_fail(api: Api) -> None:
    api.fault("error", action="ssm:Get*, ec2:DescribeImages")
    ssm, ec2 = api.client("ssm"), api.client("ec2")

    ssm.describe_parameters()
    ec2.describe_instances()
    with pytest.raises(ClientError):
        ssm.get_parameters(Names=["any"])
    with pytest.raises(ClientError):
        ec2.describe_images()


def test_a_head_request_fails_without_a_body(api: Api) -> None:
    api.fault("error", action="s3:HeadObject", status=503)

    with pytest.raises(ClientError) as refused:
        api.client("s3").head_object(Bucket="any", Key="any")

    assert code_and_status(refused.value) == ("503", 503)


def test_a_rate_hits_that_part_of_the_requests(api: Api) -> None:
    fault = api.fault("throttle", action="sts:*", rate=0.3)
    sts = api.client("sts")

    outcomes = []
    for _ in range(100):
        try:
            sts.get_caller_identity()
            outcomes.append(200)
        except ClientError as error:
            outcomes.append(code_and_status(error)[1])

    assert 20 <= outcomes.count(400) <= 40
    assert api.fired(fault) == outcomes.count(400)


def test_the_same_seed_hits_the_same_requests_and_another_one_others() -> None:
    def hits(seed: int) -> list[bool]:
        faults = Faults()
        faults.add({"kind": "throttle", "rate": 0.5, "seed": seed})
        return [faults.fire("throttle", "ec2:DescribeImages") is not None for _ in range(50)]

    assert hits(1) == hits(1)
    assert hits(1) != hits(2)


def test_two_faults_of_one_seed_are_not_hit_by_the_same_luck() -> None:
    """Otherwise 5 % errors would never show beside 30 % throttling."""
    faults = Faults()
    for _ in range(2):
        faults.add({"kind": "latency", "rate": 0.5, "seconds": 1})
    first, second = faults.active("latency")

    assert [first.hits() for _ in range(50)] != [second.hits() for _ in range(50)]


def test_a_fault_ends_when_it_expires() -> None:
    now = 0.0
    faults = Faults(lambda: now)
    faults.add({"kind": "throttle", "expires": 60})

    assert faults.fire("throttle", "ec2:DescribeImages")

    now = 60.0

    assert faults.fire("throttle", "ec2:DescribeImages") is None
    assert [(fault["state"], fault["fired"]) for fault in faults.describe()] == [("expired", 1)]


def test_latency_delays_an_answer_that_stays_as_it_is() -> None:
    """The delay comes before the request is handled, so that it holds no lock."""
    faults, seen, waits = Faults(), [], []
    faults.add({"kind": "latency", "action": "ssm:*", "seconds": 2.5})

    def api(call: Call, start_response: Any) -> list[bytes]:
        seen.append(list(waits))
        return [b"answer"]

    def request(service: str, target: str) -> list[bytes]:
        environ = {
            "REQUEST_METHOD": "POST",
            "HTTP_AUTHORIZATION": f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/{service}/aws4_request, ",
            "HTTP_X_AMZ_TARGET": target,
        }
        return list(FaultyApi(api, faults, waits.append)(Call(environ, b""), None))  # type: ignore[arg-type]

    assert request("ssm", "AmazonSSM.GetParameter") == [b"answer"]
    assert request("dynamodb", "DynamoDB_20120810.GetItem") == [b"answer"]
    assert seen == [[2.5], [2.5]]


def test_an_unreachable_service_resets_the_connection_and_the_others_answer(api: Api) -> None:
    api.fault("unavailable", action="s3:*,ssm:*")

    for service in ("s3", "ssm"):
        with pytest.raises(ConnectionClosedError) as lost:
            call(api.client(service), service)
        assert is_transient(lost.value)
    call(api.client("ec2"), "ec2")

    lost_one = [entry for entry in api.admin("GET", "requests") if entry["status"] == 0][-1]
    assert (lost_one["service"], lost_one["fault"]) == ("ssm", "unavailable-1")


def test_a_reset_is_one_of_tcp(api: Api) -> None:
    api.fault("unavailable", action="sts:*")
    host, _, port = api.url.removeprefix("http://").partition(":")
    request = (
        "GET /?Action=GetCallerIdentity HTTP/1.1\r\nHost: sts\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/sts/aws4_request\r\n\r\n"
    )

    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request.encode())
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_an_unavailable_service_can_answer_503_instead(api: Api) -> None:
    api.fault("unavailable", action="s3:*", how=503)

    assert code_and_status(refusal(api, "s3")) == ("ServiceUnavailable", 503)


class TestStateLock:
    """Terraform's lock is an object that it puts with If-None-Match."""

    def test_somebody_else_holds_it(self, api: Api) -> None:
        """The state itself can be written, and the lock names who has it, as a real one does."""
        fault = api.fault("state-lock")
        s3 = api.client("s3")

        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket="states", Key="fleet/webapp.tfstate.tflock", Body=b"{}", IfNoneMatch="*")
        info = json.loads(s3.get_object(Bucket="states", Key="fleet/webapp.tfstate.tflock")["Body"].read())
        s3.put_object(Bucket="states", Key="fleet/webapp.tfstate", Body=b"{}")

        assert code_and_status(refused.value) == ("PreconditionFailed", 412)
        assert (info["Who"], info["Path"]) == ("localcloud@faults", "states/fleet/webapp.tfstate")
        assert api.fired(fault) == 1

    def test_s3_does_not_answer_for_it(self, api: Api) -> None:
        api.fault("state-lock", how="503", key="fleet/*.tflock")
        s3 = api.client("s3")

        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket="states", Key="fleet/webapp.tfstate.tflock", Body=b"{}")
        s3.put_object(Bucket="states", Key="other/webapp.tfstate.tflock", Body=b"{}")

        assert code_and_status(refused.value) == ("ServiceUnavailable", 503)


class TestAdminEndpoint:
    """Makes, lists and removes faults, and meets none."""

    def test_everything_may_fail_but_the_endpoint(self, api: Api) -> None:
        for kind in ("throttle", "error"):
            api.fault(kind)
        api.fault("unavailable", action="*")

        assert [fault["id"] for fault in api.admin("GET")] == ["throttle-1", "error-2", "unavailable-3"]
        assert api.admin("GET", "requests") is not None

    def test_a_fault_reports_what_it_did(self, api: Api) -> None:
        api.fault("throttle", action="ec2:*", limit="1")
        refusal(api, "ec2")
        call(api.client("ec2"), "ec2")

        [shown] = api.admin("GET")

        assert shown.pop("last_fired") > 0
        assert shown == {
            "id": "throttle-1",
            "kind": "throttle",
            "action": ["ec2:*"],
            "limit": 1,
            "state": "used up",
            "fired": 1,
            "on": {"ec2:DescribeInstances": 1},
        }

    def test_the_request_log_names_the_fault_of_each_request(self, api: Api) -> None:
        api.admin("DELETE", "requests")
        api.fault("latency", action="ec2:*", seconds=0)
        api.fault("throttle", action="ec2:*", limit=1)
        refusal(api, "ec2")
        call(api.client("ec2"), "ec2")
        call(api.client("cloudwatch"), "cloudwatch")

        entries = [(entry["action"], entry["status"], entry["fault"]) for entry in api.admin("GET", "requests")]

        assert entries == [
            ("DescribeInstances", 503, "latency-1,throttle-2"),
            ("DescribeInstances", 200, "latency-1"),
            ("DescribeAlarms", 200, ""),
        ]

    def test_one_fault_can_be_removed_or_all(self, api: Api) -> None:
        first, second = api.fault("throttle"), api.fault("error")

        api.admin("DELETE", f"faults?id={first}")
        left = [fault["id"] for fault in api.admin("GET")]
        api.admin("DELETE")

        assert left == [second]
        assert api.admin("GET") == []
        call(api.client("ec2"), "ec2")

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            ({}, "a fault needs a kind: throttle, error, latency,"),
            ([], "a fault is a JSON object such as"),
            ({"kind": "flood"}, "no kind of fault is 'flood': throttle, error,"),
            (
                {"kind": "throttle", "image": "ami-1"},
                "throttle takes no image: it takes action, rate, seed, limit, exp",
            ),
            ({"kind": "throttle", "rate": "often"}, "rate='often' is wrong; it is how often of 1, above 0 and at most"),
            ({"kind": "throttle", "rate": 0}, "rate=0 is wrong"),
            ({"kind": "throttle", "rate": 1.5}, "rate=1.5 is wrong"),
            ({"kind": "throttle", "rate": "nan"}, "rate='nan' is wrong"),
            ({"kind": "throttle", "limit": "2.5"}, "limit='2.5' is wrong; it is a whole number from 1"),
            ({"kind": "throttle", "expires": 0}, "expires=0 is wrong; it is seconds until it ends by itself"),
            ({"kind": "throttle", "action": "ec2"}, "'ec2' is not a service and an action with a colon between"),
            ({"kind": "throttle", "action": ""}, "it names no action"),
            ({"kind": "throttle", "action": "ec3:*"}, "there is no service 'ec3': one of autoscaling, cloudwatch,"),
            ({"kind": "throttle", "action": "ec2:DescribeInstance"}, "name one such as DescribeInstances"),
            ({"kind": "latency"}, "latency needs seconds: seconds is seconds, from 0"),
            ({"kind": "unavailable"}, "unavailable needs action"),
            ({"kind": "unavailable", "action": "s3:*", "how": "slowly"}, "how='slowly': one of reset, 503"),
            ({"kind": "state-lock", "how": "reset"}, "how='reset': one of held, 503"),
            ({"kind": "error", "status": 200}, "status=200 is wrong; it is an HTTP status from 400 to 599"),
            ({"kind": "error", "code": "<b>"}, "code='<b>' is wrong; it is an AWS error code, such as InternalFail"),
            ({"kind": "never-boots"}, "never-boots needs image or tags or instance: image is an image's id"),
            ({"kind": "never-boots", "image": "debian"}, "image='debian' is wrong; it is an image's id, such as ami-"),
            ({"kind": "service-dies", "tags": "fleet"}, "tags='fleet' is wrong; it is name=value"),
            ({"kind": "service-dies", "tags": {"a": 1}}, "is wrong; it is name=value"),
            ({"kind": "service-dies", "tags": "a=b", "service": "a;b"}, "service='a;b' is wrong"),
            ({"kind": "service-dies", "tags": "a=b", "seconds": -1}, "seconds=-1 is wrong; it is seconds, from 0"),
            ({"kind": "health-flaps"}, "health-flaps needs target_group or instance"),
        ],
        ids=json.dumps,
    )
    def test_an_invalid_fault_is_refused_with_the_valid_choices(self, api: Api, body: Any, message: str) -> None:
        with pytest.raises(HTTPError) as refused:
            api.admin("POST", body=body)

        with refused.value as answer:
            assert answer.code == 400
            assert message in json.loads(answer.read())["error"]
        assert api.admin("GET") == []

    def test_removing_an_unknown_fault_lists_the_known_ones(self, api: Api) -> None:
        api.fault("throttle")

        with pytest.raises(HTTPError) as refused:
            api.admin("DELETE", "faults?id=throttle-9")

        with refused.value as answer:
            assert answer.code == 404
            assert json.loads(answer.read())["error"] == "there is no fault 'throttle-9'; there are: throttle-1"
