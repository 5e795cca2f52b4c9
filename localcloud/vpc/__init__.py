"""Networks: addresses of subnets, and security groups that filter where the engine allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.cloud import Cloud
    from localcloud.vpc.firewall import Firewall


def install(cloud: Cloud, os_image: str) -> Firewall:
    """Prepare security groups and the instance metadata service; the result is started and stopped by the caller."""
    from localcloud.elbv2.models import LocalELBv2Backend
    from localcloud.vpc.firewall import Firewall

    firewall = cloud.firewall = LocalELBv2Backend.firewall = Firewall(cloud, os_image)
    return firewall
