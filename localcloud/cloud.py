"""The one object that every part of the embedded cloud shares."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localcloud.faults.models import Faults

if TYPE_CHECKING:
    from moto.ec2.models.instances import Instance

    from localcloud.engine import Engine

ACCOUNT_ID = "123456789012"


@dataclass
class Cloud:
    """Names, clock, engine, faults and moto's backends, handed to each part when it is installed.

    Args:
        name: Distinguishes clouds that share a container engine; part of every name and label they use there.
        region: The only region with images and instances.
        bind: The address that the API, and load balancers, listen on.
        engine: The container engine that runs the instances.
        clock: Monotonic seconds; tests replace it.
        lock: Guards moto's state. Each API request holds it; so must every background thread that reads and then
            changes that state. It may not be held while waiting for a container.
    """

    name: str
    region: str
    bind: str
    engine: Engine
    account_id: str = ACCOUNT_ID
    clock: Callable[[], float] = time.monotonic
    lock: threading.RLock = field(default_factory=threading.RLock)
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self.faults = Faults(self.clock)

    def in_background(self, name: str, work: Callable[[], None]) -> None:
        """Run work that waits for containers in a thread, or at once when instances are records.

        Args:
            name: The thread's name, for logs.
            work: Must take the lock itself where it changes moto's state.
        """
        if self.engine.runs_machines:
            threading.Thread(target=work, name=name, daemon=True).start()
        else:
            work()

    @property
    def ec2(self) -> Any:
        """The region's EC2 backend in moto."""
        from moto.ec2.models import ec2_backends

        return ec2_backends[self.account_id][self.region]

    @property
    def autoscaling(self) -> Any:
        """The region's Auto Scaling backend in moto."""
        from moto.autoscaling.models import autoscaling_backends

        return autoscaling_backends[self.account_id][self.region]

    @property
    def cloudwatch(self) -> Any:
        """The region's CloudWatch backend in moto."""
        from moto.cloudwatch.models import cloudwatch_backends

        return cloudwatch_backends[self.account_id][self.region]

    @property
    def elbv2(self) -> Any:
        """The region's Elastic Load Balancing (version 2) backend in moto."""
        from moto.elbv2.models import elbv2_backends

        return elbv2_backends[self.account_id][self.region]

    @property
    def ssm(self) -> Any:
        """The region's Systems Manager backend in moto."""
        from moto.ssm.models import ssm_backends

        return ssm_backends[self.account_id][self.region]

    def instance(self, instance_id: str) -> Instance | None:
        """Return the instance, or None when there never was one of that id."""
        with self.lock:
            found: Instance | None = self.ec2.get_instance_by_id(instance_id)
        return found

    def is_running(self, instance_id: str) -> bool:
        """Return whether the instance has booted (it answers SSH) and was not stopped since."""
        instance = self.instance(instance_id)
        return instance is not None and instance.state == "running"

    def address(self, instance_id: str) -> str | None:
        """Return the private address of an instance that is not terminated, else None."""
        instance = self.instance(instance_id)
        if instance is None or instance.state == "terminated" or not instance.nics:
            return None
        return instance.private_ip
