"""Small HTTP services and a load balancer in front of them, on loopback."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws

from localcloud import elbv2
from localcloud.cloud import Cloud

REGION = "eu-west-1"
LIMIT = 10.0  # seconds that anything here may take


class Handler(BaseHTTPRequestHandler):
    """Answers as its backend is set up to."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    backend: Backend

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/healthz":
            self.reply(self.backend.status, b"ok")
            return
        self.backend.seen.append((self.command, self.path, dict(self.headers), body))
        if self.backend.drop:
            self.backend.drop -= 1
            self.close_connection = True
        elif self.path == "/stream":
            self.stream()
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"x" * 100_000)
            self.close_connection = True
        else:
            if self.path == "/hold":
                self.wait()
            self.reply(200, f"{self.backend.address} {len(body)}".encode())

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = answer  # noqa: N815 - http.server's names

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.wait()
        self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    def wait(self) -> None:
        self.backend.holding.release()
        self.backend.hold.wait(LIMIT)

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the log quiet."""


class Backend:
    """A small HTTP service on an address of its own, which a test can make misbehave."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.status = 200
        self.hold = threading.Event()
        self.holding = threading.Semaphore(0)
        self.drop = 0
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.server = ThreadingHTTPServer((address, port), type("BackendHandler", (Handler,), {"backend": self}))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        self.hold.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Site:
    """A load balancer with one listener and one target group of plain addresses."""

    def __init__(self) -> None:
        self.cloud = Cloud(name=f"lb-{free_port()}", region=REGION, bind="127.0.0.1", engine=None)  # type: ignore[arg-type]
        self.part = elbv2.install(self.cloud)
        self.part.start()
        self.elb = boto3.client("elbv2", REGION)
        ec2 = boto3.client("ec2", REGION)
        self.vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
        self.target_port = free_port()
        self.group = self.elb.create_target_group(
            Name="web", Protocol="HTTP", Port=self.target_port, VpcId=self.vpc, TargetType="ip",
            HealthCheckPath="/healthz", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
            HealthyThresholdCount=2, UnhealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        # AWS allows no interval below five seconds; waiting for it would make these tests slow.
        self.pool = self.cloud.backend("elbv2")._pool(self.group)
        self.quicken()
        self.set_delay(1)
        self.balancer = self.elb.create_load_balancer(Name="web", Subnets=self.subnets)["LoadBalancers"][0]
        self.host = self.balancer["DNSName"]
        self.port = free_port()
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.balancer["LoadBalancerArn"], Protocol="HTTP", Port=self.port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}],
        )["Listeners"][0]["ListenerArn"]  # fmt: skip
        self.backends: list[Backend] = []

    def quicken(self) -> None:
        check = self.pool.check
        self.pool.check = type(check)(**{**vars(check), "interval": 0.1, "timeout": 0.5})

    def set_delay(self, seconds: int) -> None:
        delay = {"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}
        self.elb.modify_target_group_attributes(TargetGroupArn=self.group, Attributes=[delay])

    def add_listener(self, action: Any, **settings: Any) -> int:
        port = free_port()
        self.elb.create_listener(
            LoadBalancerArn=self.balancer["LoadBalancerArn"],
            **{"Protocol": "HTTP", "Port": port, "DefaultActions": [action], **settings},
        )
        return port

    def add_backend(self, *, wait: bool = True) -> Backend:
        backend = Backend(f"127.0.0.{20 + len(self.backends)}", self.target_port)
        self.backends.append(backend)
        self.register(backend.address)
        if wait:
            wait_until(lambda: self.state(backend) == "healthy")
        return backend

    def register(self, address: str) -> None:
        self.elb.register_targets(TargetGroupArn=self.group, Targets=[{"Id": address, "AvailabilityZone": "all"}])

    def deregister(self, backend: Backend) -> None:
        self.elb.deregister_targets(TargetGroupArn=self.group, Targets=[{"Id": backend.address}])

    def health(self, address: str) -> dict[str, str]:
        answer = self.elb.describe_target_health(TargetGroupArn=self.group, Targets=[{"Id": address}])
        found: dict[str, str] = answer["TargetHealthDescriptions"][0]["TargetHealth"]
        return found

    def state(self, backend: Backend) -> str:
        return self.health(backend.address)["State"]

    def request(
        self, path: str = "/", method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=LIMIT)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def close(self) -> None:
        self.part.stop()
        for backend in self.backends:
            backend.stop()


@contextmanager
def running_site() -> Iterator[Site]:
    """A site, in a moto of its own."""
    # Loading moto's list of public images takes longer than most tests.
    with patch.dict("os.environ", MOTO_EC2_LOAD_DEFAULT_AMIS="false"), mock_aws():
        site = Site()
        try:
            yield site
        finally:
            site.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline, f"not so within {LIMIT} s"
        threading.Event().wait(0.02)
