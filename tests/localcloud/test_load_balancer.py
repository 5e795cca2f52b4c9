import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.acm.models import CertBundle

from localcloud.elbv2.addresses import AddressBook
from tests.localcloud.load_balancer_fakes import LIMIT, REGION, Site, free_port, wait_until


def test_requests_are_spread_over_healthy_targets(site: Site) -> None:
    site.add_backend()
    site.add_backend()
    answers = [site.request()[1] for _ in range(10)]

    assert {answers.count(answer) for answer in set(answers)} == {5}


def test_load_balancer_is_active_at_its_own_loopback_address(site: Site) -> None:
    """The DNS name is an address of 127.0.0.0/8 that no other load balancer has."""
    other = site.elb.create_load_balancer(Name="other", Subnets=site.subnets)["LoadBalancers"][0]
    described = site.elb.describe_load_balancers(Names=["web"])["LoadBalancers"][0]

    assert described["State"]["Code"] == "active"
    assert site.host.startswith("127.")
    assert other["DNSName"] != site.host


def test_target_receives_the_clients_address(site: Site) -> None:
    """The client's address, the protocol, the port and a trace id are added; the host header is kept."""
    backend = site.add_backend()
    site.request(
        headers={"X-Forwarded-For": "203.0.113.7", "Connection": "X-Private", "X-Private": "1", "Host": "shop"}
    )
    headers = backend.seen[0][2]

    assert headers["X-Forwarded-For"] == "203.0.113.7, 127.0.0.1"
    assert (headers["X-Forwarded-Proto"], headers["X-Forwarded-Port"]) == ("http", str(site.port))
    assert headers["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert headers["Host"] == "shop"
    assert "X-Private" not in headers


def test_bodies_and_methods_pass_through(site: Site) -> None:
    backend = site.add_backend()
    body = bytes(range(256)) * 4096
    posted = site.request("/upload?a=1&b=%2F", "POST", body)
    head = site.request(method="HEAD")

    assert posted[0] == 200
    assert backend.seen[0][:2] == ("POST", "/upload?a=1&b=%2F")
    assert backend.seen[0][3] == body
    assert (head[0], head[1]) == (200, b"")


def test_expect_continue_is_answered(site: Site) -> None:
    """A client that waits for a go-ahead before it sends a body gets it from the load balancer."""
    backend = site.add_backend()
    with socket.create_connection((site.host, site.port), timeout=LIMIT) as client:
        client.sendall(
            b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        go_ahead = client.recv(100)
        client.sendall(b"body")
        rest = b"".join(iter(lambda: client.recv(4096), b""))

    assert go_ahead == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert rest.startswith(b"HTTP/1.1 200")
    assert backend.seen[0][3] == b"body"


def test_answers_are_streamed(site: Site) -> None:
    backend = site.add_backend()
    connection = http.client.HTTPConnection(site.host, site.port, timeout=LIMIT)
    connection.request("GET", "/stream")
    answer = connection.getresponse()
    first = answer.read1(5)
    backend.hold.set()
    rest = answer.read()
    connection.close()

    assert (first, rest) == (b"first", b"second")


def test_broken_answer_breaks_the_connection(site: Site) -> None:
    """A target that dies halfway leaves the client with a short answer, never with one that seems whole."""
    site.add_backend()

    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        site.request("/cut")


def test_no_targets_is_503(site: Site) -> None:
    status, body, headers = site.request()

    assert status == 503
    assert b"503 Service Temporarily Unavailable" in body
    assert headers["Server"] == "awselb/2.0"


def test_refused_connection_is_502(site: Site) -> None:
    """A target that refuses connections while still called healthy gives 502."""
    backend = site.add_backend()
    site.pool.check = type(site.pool.check)(**{**vars(site.pool.check), "enabled": False})
    backend.stop()
    site.backends.remove(backend)

    assert site.request()[0] == 502


def test_slow_target_is_504(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.add_backend()
    session = site.part._balancer._sessions.of(None)
    monkeypatch.setattr(session, "_timeout", type(session.timeout)(total=None, sock_read=0.2))

    assert site.request("/hold")[0] == 504


def test_idempotent_request_is_retried_once(site: Site) -> None:
    """A GET whose connection dies before any answer is sent again; a POST is not."""
    first, second = site.add_backend(), site.add_backend()
    first.drop = second.drop = 1
    posted = site.request(method="POST", body=b"once")[0]
    dropped = first if first.drop == 0 else second
    other = second if dropped is first else first
    other.drop, dropped.drop = 0, 1
    gets = [site.request()[0] for _ in range(4)]

    assert posted == 502
    assert gets == [200] * 4
    assert dropped.drop == 0


def test_listener_that_cannot_bind_reports_where_and_why(site: Site) -> None:
    with socket.create_server((site.host, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ClientError) as created:
            site.elb.create_listener(
                LoadBalancerArn=site.balancer["LoadBalancerArn"], Protocol="HTTP", Port=port,
                DefaultActions=[{"Type": "forward", "TargetGroupArn": site.group}],
            )  # fmt: skip
        with pytest.raises(ClientError) as modified:
            site.elb.modify_listener(ListenerArn=site.listener, Port=port)
    listeners = site.elb.describe_listeners(LoadBalancerArn=site.balancer["LoadBalancerArn"])["Listeners"]

    for error in (created.value, modified.value):
        assert f"cannot listen on {site.host}:{port}" in error.response["Error"]["Message"]
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert [listener["Port"] for listener in listeners] == [site.port]
    assert site.request()[0] == 503


def test_listener_moves_to_another_port(site: Site) -> None:
    site.add_backend()
    old, site.port = site.port, free_port()
    site.elb.modify_listener(ListenerArn=site.listener, Port=site.port)

    assert site.request()[0] == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((site.host, old), timeout=LIMIT)


@pytest.mark.parametrize("what", ["listener", "load balancer"])
def test_deleting_closes_the_port_and_frees_the_target_group(site: Site, what: str) -> None:
    site.add_backend()
    if what == "listener":
        site.elb.delete_listener(ListenerArn=site.listener)
    else:
        site.elb.delete_load_balancer(LoadBalancerArn=site.balancer["LoadBalancerArn"])
    group = site.elb.describe_target_groups(TargetGroupArns=[site.group])["TargetGroups"][0]
    site.elb.delete_target_group(TargetGroupArn=site.group)

    assert group["LoadBalancerArns"] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((site.host, site.port), timeout=LIMIT)


def test_rules_choose_by_path_and_host(site: Site) -> None:
    """Rules are followed by priority, the default last; fixed answers and redirects need no target."""
    site.add_backend()
    fixed = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "MessageBody": "teapot"}}
    redirect = {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Path": "/new/#{path}"}}
    for priority, condition, action in (
        (1, {"Field": "path-pattern", "Values": ["/tea/*"]}, fixed),
        (2, {"Field": "host-header", "HostHeaderConfig": {"Values": ["old.*"]}}, redirect),
    ):
        site.elb.create_rule(ListenerArn=site.listener, Priority=priority, Conditions=[condition], Actions=[action])

    assert site.request("/tea/pot")[:2] == (418, b"teapot")
    assert (
        site.request("/x?y=1", headers={"Host": "old.example"})[2]["Location"]
        == f"http://old.example:{site.port}/new/x?y=1"
    )
    assert site.request("/x")[0] == 200


def test_what_is_not_emulated_is_refused(site: Site) -> None:
    """A request that would be stored and not honoured is refused with an error."""
    network = site.elb.create_load_balancer(Name="network", Type="network", Subnets=site.subnets)["LoadBalancers"][0]
    forward: Any = {"Type": "forward", "TargetGroupArn": site.group}
    with pytest.raises(ClientError, match="does not emulate TCP listeners"):
        site.elb.create_listener(
            LoadBalancerArn=network["LoadBalancerArn"], Protocol="TCP", Port=free_port(), DefaultActions=[forward]
        )
    with pytest.raises(ClientError, match="does not emulate the action 'authenticate-oidc'"):
        site.elb.modify_listener(ListenerArn=site.listener, DefaultActions=[{"Type": "authenticate-oidc"}, forward])
    with pytest.raises(ClientError, match="does not emulate MutualAuthentication"):
        site.elb.modify_listener(ListenerArn=site.listener, MutualAuthentication={"Mode": "passthrough"})


def test_least_outstanding_requests_avoids_a_busy_target(site: Site) -> None:
    site.elb.modify_target_group_attributes(
        TargetGroupArn=site.group,
        Attributes=[{"Key": "load_balancing.algorithm.type", "Value": "least_outstanding_requests"}],
    )
    one, two = site.add_backend(), site.add_backend()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(site.request, "/hold")
        wait_until(lambda: bool(one.seen or two.seen))
        busy = one if one.seen else two
        answers = {site.request()[1].split()[0] for _ in range(6)}
        busy.hold.set()
        held.result()

    assert busy.address.encode() not in answers


def test_two_clouds_of_one_name_take_different_addresses() -> None:
    first, second = AddressBook("same", "127.0.0.1"), AddressBook("same", "127.0.0.1")
    addresses = [first.allocate(), second.allocate(), first.allocate()]
    first.release(addresses[0])
    again = second.allocate()
    first.release_all()
    second.release_all()

    assert len(set(addresses)) == 3
    assert again == addresses[0]


def test_outside_loopback_the_cloud_own_address_is_used() -> None:
    """In a container of a compose stack, load balancers listen where the container is reached."""
    assert AddressBook("any", "192.0.2.5").allocate() == "192.0.2.5"
    assert not AddressBook("any", "0.0.0.0").allocate().startswith("0.")


def test_https_listener_forwards_to_https_targets(site: Site) -> None:
    """A listener with a certificate is the target of a group that is reached, and checked, over HTTPS."""
    made = CertBundle.generate_cert("inner.example", site.cloud.account_id, REGION)
    certificate = boto3.client("acm", REGION).import_certificate(Certificate=made.cert, PrivateKey=made.key)
    secure: Any = {"Protocol": "HTTPS", "Certificates": [{"CertificateArn": certificate["CertificateArn"]}]}
    inner = site.add_listener({"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}, **secure)
    group = site.elb.create_target_group(
        Name="inner", Protocol="HTTPS", Port=inner, VpcId=site.vpc, TargetType="ip", HealthCheckProtocol="HTTPS"
    )["TargetGroups"][0]["TargetGroupArn"]
    target: Any = {"Id": site.host, "AvailabilityZone": "all"}
    site.elb.register_targets(TargetGroupArn=group, Targets=[target])
    site.port = site.add_listener({"Type": "forward", "TargetGroupArn": group})
    described = site.elb.describe_target_health
    wait_until(
        lambda: described(TargetGroupArn=group)["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "healthy"
    )

    assert site.request()[0] == 200
