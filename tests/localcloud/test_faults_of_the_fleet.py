"""Faults of instances, target groups and instance refreshes, without containers."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from moto.autoscaling.responses import AutoScalingResponse

from localcloud import faults
from localcloud.ec2 import machines
from localcloud.engine import Completed
from localcloud.exceptions import EngineError
from localcloud.faults import instances
from tests.localcloud.fleet_fakes import World
from tests.localcloud.load_balancer_fakes import Site, wait_until


@pytest.fixture
def small(small: World) -> Iterator[World]:
    part = faults.install(small.cloud)
    part._patches = faults.patch_statuses(small.cloud.faults)  # its thread is not needed
    yield small
    part.stop()


class Engine:
    """Notes what is run in which instance."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, str]] = []
        self.done = threading.Semaphore(0)
        self.broken = False

    def run(self, instance_id: str, argv: list[str]) -> Completed:
        self.ran.append((instance_id, argv[-1]))
        self.done.release()
        if self.broken:
            raise EngineError("the instance is gone")
        return Completed(0, b"", b"")

    def killed(self, count: int) -> set[str]:
        """Wait until so many were killed, and return which."""
        for _ in range(count):
            assert self.done.acquire(timeout=10)
        return {instance_id for instance_id, _ in self.ran}


class TestRefresh:
    def test_a_stalled_refresh_stays_and_goes_on_once_the_fault_is_gone(self, small: World) -> None:
        small.create_group()
        small.cloud.faults.add({"kind": "refresh-stalls", "group": "web"})
        small.refresh_to("2")
        small.run(120)

        stalled = small.refresh
        small.cloud.faults.remove()

        assert (stalled["Status"], stalled["PercentageComplete"], small.versions()) == ("Pending", 0, ["1", "1", "1"])
        assert small.run_refresh()["Status"] == "Successful"

    def test_a_refresh_can_stall_halfway(self, small: World) -> None:
        small.create_group()
        small.refresh_to("2")
        small.run_until(lambda: small.newest["PercentageComplete"] > 0)
        small.cloud.faults.add({"kind": "refresh-stalls"})
        before = small.refresh["PercentageComplete"]
        small.run(300)

        assert (small.refresh["Status"], small.refresh["PercentageComplete"]) == ("InProgress", before)

    def test_a_stalled_refresh_can_be_cancelled(self, small: World) -> None:
        small.create_group()
        small.cloud.faults.add({"kind": "refresh-stalls", "limit": 1})
        small.refresh_to("2")
        small.run(10)
        small.asg.cancel_instance_refresh(AutoScalingGroupName="web")

        assert small.run_refresh()["Status"] == "Cancelled"
        assert small.cloud.faults.describe()[0]["fired"] == 1

    def test_a_stalled_refresh_can_be_rolled_back(self, small: World) -> None:
        small.create_group()
        small.refresh_to("2", AutoRollback=True)
        small.run_until(lambda: small.newest["PercentageComplete"] > 0)
        small.cloud.faults.add({"kind": "refresh-stalls"})
        small.run(10)
        small.asg.rollback_instance_refresh(AutoScalingGroupName="web")

        assert small.run_refresh()["Status"] == "RollbackSuccessful"

    def test_another_groups_refresh_does_not_stall(self, small: World) -> None:
        small.create_group()
        small.cloud.faults.add({"kind": "refresh-stalls", "group": "other"})
        small.refresh_to("2")

        assert small.run_refresh()["Status"] == "Successful"

    def test_a_status_of_the_future_is_shown_for_a_while(self, small: World) -> None:
        """The refresh itself goes on, and its last state is shown as it is."""
        small.create_group()
        small.cloud.faults.add({"kind": "unknown-status", "limit": 2})
        small.cloud.faults.add({"kind": "unknown-status", "shows": "Sideways", "limit": 1})
        small.refresh_to("2")
        small.run(2)

        seen = [small.refresh["Status"] for _ in range(4)]

        assert seen == ["Quantum", "Quantum", "Sideways", "InProgress"]

        small.cloud.faults.add({"kind": "unknown-status"})
        small.run(300)

        assert small.refresh["Status"] == "Successful"

    def test_the_answer_has_its_own_form_again_once_the_part_has_stopped(self, small: World) -> None:
        before = AutoScalingResponse.describe_instance_refreshes
        part = faults.install(small.cloud)
        part.start()
        during = AutoScalingResponse.describe_instance_refreshes
        part.stop()

        assert during is not before
        assert AutoScalingResponse.describe_instance_refreshes is before


class TestHealth:
    def test_a_flapping_target_is_ill_and_well_and_ill_again(self, site: Site) -> None:
        backend = site.add_backend()
        site.cloud.faults.add({"kind": "health-flaps", "target_group": "web"})

        wait_until(lambda: site.state(backend) == "unhealthy")
        ill = site.health(backend.address)
        wait_until(lambda: site.state(backend) == "healthy")
        wait_until(lambda: site.state(backend) == "unhealthy")
        site.cloud.faults.remove()
        wait_until(lambda: site.state(backend) == "healthy")

        assert ill["Reason"] == "Target.ResponseCodeMismatch"
        assert ill["Description"] == "Health checks failed with these codes: [503]"

    def test_checks_that_fail_one_at_a_time_are_below_the_threshold(self, site: Site) -> None:
        backend = site.add_backend()
        site.cloud.faults.add({"kind": "health-flaps", "target_group": site.group, "checks": 1})

        wait_until(lambda: site.cloud.faults.describe()[0]["fired"] >= 5)

        assert site.state(backend) == "healthy"
        assert site.cloud.faults.describe()[0]["on"].keys() == {backend.address}

    def test_targets_of_other_groups_stay_well(self, site: Site) -> None:
        """The whole name must match."""
        backend = site.add_backend()
        seen = site.pool.targets[backend.address, site.target_port]
        for name in ("we", "other"):
            site.cloud.faults.add({"kind": "health-flaps", "target_group": name})
        first = seen.next_check

        wait_until(lambda: seen.next_check > first + 1)

        assert site.state(backend) == "healthy"
        assert [fault["fired"] for fault in site.cloud.faults.describe()] == [0, 0]


class TestServiceDies:
    def ids(self, small: World) -> list[str]:
        return sorted(each["InstanceId"] for each in small.instances())

    def test_it_dies_so_long_after_its_instance_runs(self, small: World) -> None:
        small.cloud.engine = engine = Engine()  # type: ignore[assignment]
        killer = instances.ServiceKiller(small.cloud)
        small.create_group(desired=2)
        image = {"image": small.images[0], "service": "webapp", "seconds": 20}
        small.cloud.faults.add({"kind": "service-dies", **image})
        killer.tick()
        small.run(19)
        killer.tick()
        before = list(engine.ran)
        small.run(1)
        killer.tick()
        killed = engine.killed(2)
        killer.tick()

        assert before == []
        assert sorted(killed) == self.ids(small)
        assert all("systemctl kill --signal=KILL 'webapp.service'" in script for _, script in engine.ran)
        assert (len(engine.ran), small.cloud.faults.describe()[0]["fired"]) == (2, 2)

    def test_only_instances_of_the_image_with_the_tags_are_hit(self, small: World) -> None:
        """The unit's name comes from the tag when no other is given."""
        small.cloud.engine = engine = Engine()  # type: ignore[assignment]
        killer = instances.ServiceKiller(small.cloud)
        small.create_group(desired=2)
        first, second = self.ids(small)
        small.ec2.create_tags(Resources=[first], Tags=[{"Key": "rebake:service", "Value": "shop"}])
        for settings in (
            {"image": small.images[1], "service": "a"},
            {"image": small.images[0], "tags": "rebake:version=2", "service": "b"},
            {"instance": second},
            {"tags": "rebake:version=1,rebake:service=shop"},
        ):
            small.cloud.faults.add({"kind": "service-dies", **settings})
        killer.tick()

        assert engine.killed(1) == {first}
        assert "'shop.service'" in engine.ran[0][1]
        assert [fault["fired"] for fault in small.cloud.faults.describe()] == [0, 0, 0, 1]

    def test_a_fault_that_was_removed_in_time_kills_nothing(self, small: World) -> None:
        small.cloud.engine = engine = Engine()  # type: ignore[assignment]
        killer = instances.ServiceKiller(small.cloud)
        small.create_group(desired=1)
        small.cloud.faults.add({"kind": "service-dies", "image": small.images[0], "service": "a", "seconds": 5})
        killer.tick()
        small.cloud.faults.remove()
        small.run(10)
        killer.tick()

        assert engine.ran == []

    def test_a_rate_spares_an_instance_for_good(self, small: World) -> None:
        """The rate is drawn once for each instance."""
        small.cloud.engine = engine = Engine()  # type: ignore[assignment]
        killer = instances.ServiceKiller(small.cloud)
        small.create_group(desired=10)
        small.cloud.faults.add({"kind": "service-dies", "image": small.images[0], "service": "a", "rate": 0.5})
        for _ in range(50):
            killer.tick()
        fired = small.cloud.faults.describe()[0]["fired"]

        assert 1 <= fired <= 9
        assert len(engine.killed(fired)) == fired

    def test_an_instance_that_is_gone_is_no_error(self, small: World, caplog: pytest.LogCaptureFixture) -> None:
        small.cloud.engine = engine = Engine()  # type: ignore[assignment]
        engine.broken = True

        instances.ServiceKiller(small.cloud).kill("i-1", "a.service")

        assert "cannot kill a.service of i-1: the instance is gone" in caplog.text


def test_a_machine_that_hangs_is_given_up_after_its_time_or_at_once_when_it_is_abandoned() -> None:
    """No container is made for it: there is no engine here."""
    nothing: Any = None
    machine = machines.Machine(nothing, "i-1", "image", "192.0.2.1")

    given_up = machine.boot(hangs=0.01)
    machine.abandon()

    assert given_up == "a fault kept it from booting for 0.01 s"
    assert machine.boot(hangs=3600) == "terminated while pending"
