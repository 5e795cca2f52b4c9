"""The embedded cloud's load balancers: moto's records with real listeners, health checks and draining."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moto.acm.models import acm_backends
from moto.elbv2.models import elbv2_backends

from localcloud.adoption import adopted
from localcloud.faults.fleet import flaps

from .addresses import AddressBook
from .balancer import Balancer
from .certificates import LocalCertificateManagerBackend
from .health import Endpoint
from .models import LocalELBv2Backend
from .responses import patch_responses

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

    from .targets import TargetPool

__all__ = ["LoadBalancing", "install"]


class LoadBalancing:
    """The load balancers of one cloud: extends moto's, and is started and stopped by the caller."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._balancer = Balancer(self._locate, cloud.clock, self._fails)
        self._addresses = AddressBook(cloud.name, cloud.bind)
        LocalELBv2Backend.cloud = cloud
        LocalELBv2Backend.balancer, LocalELBv2Backend.addresses = self._balancer, self._addresses
        self._patches = patch_responses()
        self._patches.enter_context(adopted(acm_backends, LocalCertificateManagerBackend))
        self._patches.enter_context(adopted(elbv2_backends, LocalELBv2Backend))

    def start(self) -> None:
        """Start to listen and to check health."""
        self._balancer.start()

    def stop(self) -> None:
        """Stop listening, free every address, and restore moto's backends."""
        self._balancer.stop()
        self._addresses.release_all()
        self._patches.close()

    def reset(self) -> None:
        """Close every listener and free every address."""
        self._balancer.clear()
        self._addresses.release_all()

    def _locate(self, target_id: str) -> Endpoint:
        if not target_id.startswith("i-"):
            return Endpoint(target_id)
        instance = self._cloud.instance(target_id)
        state = instance.state if instance else "terminated"
        return Endpoint(self._cloud.address(target_id), state, is_record=not self._cloud.engine.runs_machines)

    def _fails(self, pool: TargetPool, target_id: str) -> bool:
        arns = (arn for arn, each in list(self._balancer.pools.items()) if each is pool)
        return any(flaps(self._cloud.faults, arn, target_id, pool.check) for arn in arns)


install = LoadBalancing
