"""Targets of a load balancer: their health, and how they come and go."""

import http.client
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from tests.localcloud.load_balancer_fakes import LIMIT, Backend, Site, wait_until


def test_target_needs_one_success_at_first_and_the_threshold_later(site: Site) -> None:
    """A new target is healthy after one check, unhealthy after the threshold, healthy again after the threshold."""
    backend = site.add_backend()
    site.add_backend()
    backend.status = 500
    wait_until(lambda: site.state(backend) == "unhealthy")
    why = site.health(backend.address)
    before = len(backend.seen)
    for _ in range(6):
        site.request()
    unbothered = len(backend.seen) == before
    backend.status = 200
    wait_until(lambda: site.state(backend) == "healthy")

    assert why["Reason"] == "Target.ResponseCodeMismatch"
    assert why["Description"] == "Health checks failed with these codes: [500]"
    assert unbothered


def test_reasons_are_reported(site: Site) -> None:
    site.register("127.0.0.99")
    initial = site.health("127.0.0.99")
    wait_until(lambda: site.health("127.0.0.99")["State"] == "unhealthy")
    failed = site.health("127.0.0.99")
    missing = site.health("127.0.0.98")
    site.elb.delete_listener(ListenerArn=site.listener)
    unused = site.health("127.0.0.99")

    assert initial["State"] == "initial"
    assert initial["Reason"] in {"Elb.RegistrationInProgress", "Elb.InitialHealthChecking"}
    assert failed["Reason"] == "Target.FailedHealthChecks"
    assert (missing["State"], missing["Reason"]) == ("unused", "Target.NotRegistered")
    assert (unused["State"], unused["Reason"]) == ("unused", "Target.NotInUse")


def test_silent_target_times_out(site: Site) -> None:
    with socket.create_server(("127.0.0.97", site.target_port)):
        site.register("127.0.0.97")
        wait_until(lambda: site.health("127.0.0.97")["State"] == "unhealthy")

        assert site.health("127.0.0.97")["Reason"] == "Target.Timeout"


def test_fails_open_when_no_target_is_healthy(site: Site) -> None:
    backend = site.add_backend()
    backend.status = 500
    wait_until(lambda: site.state(backend) == "unhealthy")

    assert site.request()[0] == 200


def test_draining_lets_requests_finish_and_sends_no_new_ones(site: Site) -> None:
    leaving, staying = site.add_backend(), site.add_backend()
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(site.request, "/hold") for _ in range(2)]
        assert leaving.holding.acquire(timeout=LIMIT)
        assert staying.holding.acquire(timeout=LIMIT)
        site.deregister(leaving)
        during = site.health(leaving.address)
        before = len(leaving.seen)
        others = {site.request()[1].split()[0] for _ in range(6)}
        leaving.hold.set()
        staying.hold.set()
        finished = {future.result()[0] for future in held}
    wait_until(lambda: site.state(leaving) == "unused")

    assert (during["State"], during["Reason"]) == ("draining", "Target.DeregistrationInProgress")
    assert len(leaving.seen) == before
    assert others == {staying.address.encode()}
    assert finished == {200}
    assert site.health(leaving.address)["Reason"] == "Target.NotRegistered"


def test_idle_target_drains_for_the_whole_delay(site: Site) -> None:
    backend = site.add_backend()
    site.request()
    site.deregister(backend)
    begin = time.monotonic()
    during = site.state(backend)
    wait_until(lambda: site.state(backend) == "unused")

    assert during == "draining"
    assert 0.9 < time.monotonic() - begin < 3


def test_deregistration_delay_ends_draining(site: Site) -> None:
    backend = site.add_backend()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(site.request, "/hold")
        assert backend.holding.acquire(timeout=LIMIT)
        site.deregister(backend)
        during = site.state(backend)
        wait_until(lambda: site.state(backend) == "unused")
        backend.hold.set()
        held.result()

    assert during == "draining"


def test_no_request_is_lost_while_targets_come_and_go(site: Site) -> None:
    old = [site.add_backend(), site.add_backend()]
    ended = threading.Event()
    statuses: list[int] = []

    def load() -> None:
        connection = http.client.HTTPConnection(site.host, site.port, timeout=LIMIT)
        while not ended.is_set():
            connection.request("GET", "/")
            answer = connection.getresponse()
            answer.read()
            statuses.append(answer.status)
        connection.close()

    with ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(load) for _ in range(3)]
        try:
            for backend in old:
                site.add_backend()
                site.deregister(backend)
                wait_until(lambda leaving=backend: site.state(leaving) == "unused")  # type: ignore[misc]
                backend.stop()
                site.backends[site.backends.index(backend)] = Backend(backend.address, site.target_port)
        finally:
            ended.set()
        for client in clients:
            client.result()

    assert len(statuses) > 40
    assert set(statuses) == {200}
