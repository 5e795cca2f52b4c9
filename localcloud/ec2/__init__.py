"""moto's EC2 with real instances."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from localcloud.cloud import Cloud
    from localcloud.ec2.models import Watch


def install(cloud: Cloud, os_image: str) -> Watch:
    """Back moto's instances with containers, and make the OS image the seed AMI of every region.

    Returns the watch over the machines, to be started.
    """
    import moto.ec2.models.elastic_network_interfaces
    import moto.ec2.models.instances
    import moto.ec2.models.launch_templates
    import moto.ec2.models.subnets
    from moto.ec2.models import ec2_backends

    from localcloud.adoption import adopt
    from localcloud.ec2 import requests, responses
    from localcloud.ec2.images import ImageRules
    from localcloud.ec2.instances import LocalInstance
    from localcloud.ec2.models import LocalEC2Backend, Watch
    from localcloud.ec2.templates import LocalTemplate
    from localcloud.vpc.interfaces import LocalInterface
    from localcloud.vpc.subnets import LocalSubnet

    LocalInstance.cloud = cloud
    ImageRules.cloud = cloud
    LocalEC2Backend.os_image = os_image
    # moto creates these by their names, and its backends from the class in this dictionary.
    moto.ec2.models.instances.Instance = LocalInstance  # type: ignore[misc]
    moto.ec2.models.launch_templates.LaunchTemplate = LocalTemplate  # type: ignore[misc]
    moto.ec2.models.elastic_network_interfaces.NetworkInterface = LocalInterface  # type: ignore[misc]
    moto.ec2.models.subnets.Subnet = LocalSubnet  # type: ignore[misc]
    adopt(ec2_backends, LocalEC2Backend)
    responses.install()
    requests.guard_actions()
    return Watch(cloud)
