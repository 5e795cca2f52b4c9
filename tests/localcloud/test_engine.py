"""The rules of the engine's corner that need no engine: addresses, networks, and naming S3's actions."""

import io
import ipaddress

import pytest

from localcloud import network
from localcloud.ec2.instances import decode_user_data
from localcloud.exceptions import LocalCloudError
from localcloud.requestlog import RequestLog, Scope, name_action, read_body

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""


def test_the_same_name_gets_the_same_network_and_another_name_another() -> None:
    assert network.choose("a1b2c3d4", []) == network.choose("a1b2c3d4", [])
    assert network.choose("a1b2c3d4", []) != network.choose("d4c3b2a1", [])


def test_a_network_that_the_host_routes_is_avoided() -> None:
    wanted = network.choose("a1b2c3d4", [])

    chosen = network.choose("a1b2c3d4", [wanted])

    assert not chosen.overlaps(wanted)
    assert chosen.subnet_of(network.POOL)


def test_a_host_that_routes_every_network_gets_a_clear_error() -> None:
    with pytest.raises(LocalCloudError, match="--network-cidr"):
        network.choose("a1b2c3d4", [network.POOL])


def test_the_network_that_podman_keeps_for_itself_is_avoided() -> None:
    assert not network.choose("7d13df20", []).overlaps(ipaddress.IPv4Network("10.88.0.0/16"))


def test_host_routes_leave_the_default_route_out() -> None:
    assert network.host_routes(ROUTES) == [ipaddress.IPv4Network("192.0.2.0/24")]


def test_addresses_are_unique_spare_the_gateway_and_run_out() -> None:
    addresses = network.Addresses(ipaddress.IPv4Network("10.90.0.0/29"))

    taken = [addresses.take() for _ in range(6)]

    assert taken == ["10.90.0.6", "10.90.0.5", "10.90.0.4", "10.90.0.3", "10.90.0.2", None]


def test_an_address_given_back_is_the_last_to_be_used_again() -> None:
    addresses = network.Addresses(ipaddress.IPv4Network("10.90.0.0/29"))
    first = addresses.take()
    assert first is not None

    addresses.release(first)

    assert [addresses.take() for _ in range(5)][-1] == first


@pytest.mark.parametrize(
    ("method", "target", "action"),
    [
        ("PUT", "/bucket", "CreateBucket"),
        ("HEAD", "/bucket", "HeadBucket"),
        ("GET", "/bucket?list-type=2&prefix=a", "ListObjectsV2"),
        ("GET", "/bucket?versioning", "GetBucketVersioning"),
        ("PUT", "/bucket?encryption", "PutBucketEncryption"),
        ("GET", "/bucket/deep/key", "GetObject"),
        ("HEAD", "/bucket/key", "HeadObject"),
        ("PUT", "/bucket/key?x-id=PutObject", "PutObject"),
        ("PUT", "/bucket/key?partNumber=1&uploadId=x", "UploadPart"),
        ("POST", "/bucket?delete", "DeleteObjects"),
        ("DELETE", "/bucket/key", "DeleteObject"),
        ("GET", "/", "ListBuckets"),
    ],
)
def test_an_s3_request_is_logged_under_its_operation(method: str, target: str, action: str) -> None:
    path, _, query = target.partition("?")
    environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}

    assert name_action("s3", environ, b"") == action


def test_copying_an_object_is_distinguished_from_putting_one() -> None:
    environ = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/bucket/key", "HTTP_X_AMZ_COPY_SOURCE": "bucket/other"}

    assert name_action("s3", environ, b"") == "CopyObject"


def test_the_request_log_forgets_the_oldest() -> None:
    ticks = iter(range(10))
    log = RequestLog(clock=lambda: next(ticks), capacity=2)
    for action in ("First", "Second", "Third"):
        log.record(Scope(), action, 200, {})

    assert [entry["action"] for entry in log.since(0)] == ["Second", "Third"]
    assert [entry["action"] for entry in log.since(1)] == ["Third"]


def test_a_body_is_read_as_far_as_announced() -> None:
    environ = {"CONTENT_LENGTH": "5", "wsgi.input": io.BytesIO(b"12345next request")}

    assert b"".join(read_body(environ)) == b"12345"


@pytest.mark.parametrize(
    ("held", "decoded"),
    [
        pytest.param("IyEvYmluL3NoCg==", b"#!/bin/sh\n", id="encoded"),
        pytest.param("#!/bin/sh\n", b"#!/bin/sh\n", id="plain"),
        pytest.param(None, b"", id="none"),
    ],
)
def test_user_data_reaches_the_instance_decoded(held: str | None, decoded: bytes) -> None:
    assert decode_user_data(held) == decoded


def test_addresses_that_the_engine_gives_out_itself_are_left_to_it() -> None:
    addresses = network.Addresses(ipaddress.IPv4Network("10.90.0.0/29"), ipaddress.IPv4Network("10.90.0.0/30"))

    assert [addresses.take() for _ in range(4)] == ["10.90.0.6", "10.90.0.5", "10.90.0.4", None]
