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
        region: The default of clients that name none; every region has instances.
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
    firewall: Any = None  # a `vpc.firewall.Firewall`, whose module imports this one; None without containers
    """Enforces security groups; set when networks are installed."""

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

    def backend(self, service: str, account_id: str | None = None, region: str | None = None) -> Any:
        """Return moto's backend of a service in one account and region, made when there is none yet.

        Args:
            service: moto's name, such as `ec2` or `elbv2`.
            account_id: The default account when None.
            region: The cloud's own when None.
        """
        from moto.backends import get_backend

        return get_backend(service)[account_id or self.account_id][region or self.region]  # type: ignore[call-overload] # one of moto's names

    def backends(self, service: str) -> list[Any]:
        """Return the backends of a service that are in use, of every account and region."""
        from moto.backends import get_backend

        with self.lock:
            return [backend for _, _, backend in get_backend(service).iter_backends()]  # type: ignore[call-overload] # as above

    def instance(self, instance_id: str) -> Instance | None:
        """Return the instance, of whatever account and region, or None when there never was one of that id."""
        with self.lock:
            for backend in self.backends("ec2"):
                found: Instance | None = backend.get_instance_by_id(instance_id)
                if found is not None:
                    return found
        return None

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
