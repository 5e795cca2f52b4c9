"""Security groups, enforced: each instance's rules, and who reaches a load balancer, follow the records."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from localcloud.exceptions import EngineError
from localcloud.imds import MetadataServer
from localcloud.vpc.helper import Helper
from localcloud.vpc.rules import Peer, Rule, admitted, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from localcloud.call import Call
    from localcloud.cloud import Cloud
    from localcloud.ec2.instances import LocalInstance

log = logging.getLogger(__name__)

READS = ("Describe", "Get", "List")
BATCH = 20
"""Instances whose rules are applied by one command."""
ADMISSION_SECONDS = 15.0
RETRY_SECONDS = 1.0


class Firewall:
    """Applies rules in the background, soon after a request that may change them, and before an instance is running."""

    def __init__(self, cloud: Cloud, image: str) -> None:
        self.cloud = cloud
        self.enforced = False
        self.metadata = MetadataServer(cloud, self._find)
        self._helper = Helper(cloud.engine, image)
        self._instances: dict[str, LocalInstance] = {}
        """By the container's address."""
        self._pids: dict[str, int] = {}
        """The process of each instance that was started, by its id."""
        self._applied: dict[str, tuple[int, str]] = {}
        """Process and rules of each instance, as they are in force."""
        self._changed = threading.Event()
        self._in_force = threading.Condition()
        self._stopped = False

    def start(self) -> None:
        """Start to enforce, where the engine allows it."""
        if not self.cloud.engine.runs_machines:
            return
        try:
            self._helper.start()
            self.metadata.start(self._helper.address)
        except (EngineError, OSError) as error:
            log.warning("security groups are recorded and not enforced, and instances have no metadata: %s", error)
            return
        log.info("security groups are enforced")
        self.enforced = True
        self.cloud.engine.source = self._helper.address
        self.cloud.engine.on_start = self.admit
        threading.Thread(target=self._follow, name="firewall", daemon=True).start()

    def stop(self) -> None:
        """End; what is in force stays so."""
        self._stopped = True
        self._changed.set()
        self.metadata.stop()

    def reset(self) -> None:
        """Forget every instance and every load balancer."""
        self._pids.clear()
        self._helper.release_sources()
        self._changed.set()

    @property
    def state(self) -> str:
        """`enforced`, or `recorded` where groups are records that filter nothing."""
        return "enforced" if self.enforced else "recorded"

    def note(self, call: Call) -> None:
        """Take a request that was carried out as a reason to compare rules, unless it only reads."""
        if self.enforced and not call.action.startswith(READS):
            self._changed.set()

    def admit(self, instance_id: str) -> None:
        """Put an instance that was just started behind its rules, and wait until that is done."""
        pid = self.cloud.engine.pid(instance_id)
        deadline = time.monotonic() + ADMISSION_SECONDS
        with self._in_force:
            self._pids[instance_id] = pid
            self._changed.set()
            while self._pids.get(instance_id) == pid and self._applied.get(instance_id, (0, ""))[0] != pid:
                if not self._in_force.wait(deadline - time.monotonic()):
                    log.error("the security groups of %s were not applied in time", instance_id)
                    return

    def take_source(self) -> str | None:
        """Return an address for a load balancer to connect from, or None where nothing is enforced."""
        self._changed.set()
        return self._helper.take_source() if self.enforced else None

    def release_source(self, address: str) -> None:
        """Keep an address of a load balancer that is gone for the next one."""
        self._helper.release_sources([address])

    def _find(self, address: str) -> LocalInstance | None:
        return self._instances.get(address)

    # The thread

    def _follow(self) -> None:
        while True:
            self._changed.wait()
            self._changed.clear()
            if self._stopped:
                return
            try:
                self._update()
            except EngineError as error:
                log.warning("security groups were not applied, trying again: %s", error)
                time.sleep(RETRY_SECONDS)
                self._changed.set()
            except Exception:
                log.exception("security groups were not applied")

    def _update(self) -> None:
        with self.cloud.lock:
            instances = self._running()
            balancers = [each for backend in self.cloud.backends("elbv2") for each in _balancers(backend)]
            peers = [*instances.values(), *(peer for _, _, peer in balancers)]
            self._instances = {peer.address: instance for instance, peer in instances.items()}
            port = self.metadata.port
            wanted = {
                instance.id: (self._pids[instance.id], peer.address, table(peer, peers, self._helper.address, port))
                for instance, peer in instances.items()
            }
            for backend, balancer, peer in balancers:
                for listener in balancer.listeners.values():
                    backend.balancer.restrict(listener.arn, admitted(peer, int(listener.port), peers))
        self._helper.refill()
        stale = {
            key: rules for key, rules in wanted.items() if self._applied.get(key) != (rules[0], rules[2]) and rules[0]
        }
        ids = list(stale)
        for batch in (ids[start : start + BATCH] for start in range(0, len(ids), BATCH)):
            refused = self._helper.filter(stale[key] for key in batch)
            if refused:
                log.error("nftables refused the rules of instances: %s", refused)
            with self._in_force:
                self._applied.update({key: (stale[key][0], stale[key][2]) for key in batch})
                self._in_force.notify_all()
        for gone in self._applied.keys() - wanted.keys():
            del self._applied[gone]

    def _running(self) -> dict[LocalInstance, Peer]:
        """Return the instances that were started, and forget those that ended."""
        found: dict[LocalInstance, Peer] = {}
        for instance_id in list(self._pids):
            instance: Any = self.cloud.instance(instance_id)
            if instance is None or instance.state in ("stopped", "terminated"):
                self._pids.pop(instance_id, None)
            else:
                interface = instance.nics[0]
                found[instance] = _peer(instance.machine.address, interface.subnet_addresses, interface.group_set)
        return found


def _peer(address: str, subnet_addresses: Iterable[str], groups: Iterable[Any], *, is_balancer: bool = False) -> Peer:
    groups = list(groups)
    return Peer(
        address,
        tuple(subnet_addresses),
        frozenset(group.id for group in groups),
        tuple(Rule.of(rule) for group in groups for rule in group.ingress_rules),
        tuple(Rule.of(rule) for group in groups for rule in group.egress_rules),
        is_balancer,
    )


def _balancers(backend: Any) -> Iterable[tuple[Any, Any, Peer]]:
    """Yield the application load balancers that have an address, each with its backend and as a peer."""
    for balancer in backend.load_balancers.values():
        if balancer.source and balancer.interfaces:
            addresses = [address for each in balancer.interfaces for address in each.subnet_addresses]
            yield (
                backend,
                balancer,
                _peer(balancer.source, addresses, balancer.interfaces[0].group_set, is_balancer=True),
            )
