"""What the requests of EC2 say that moto does not read."""

from __future__ import annotations

import base64
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.responses import EC2Response

_moto_block_device_mapping = EC2Response._parse_block_device_mapping  # noqa: SLF001 # replaced by the one below


def create_image(self: Any) -> ActionResult:
    """CreateImage, with NoReboot and the tags of snapshots."""
    self.error_on_dryrun()
    image = self.ec2_backend.create_image(
        self._get_param("InstanceId"),
        self._get_param("Name"),
        self._get_param("Description", ""),
        tag_specifications=self._get_param("TagSpecifications", []),
        no_reboot=self._get_bool_param("NoReboot", False),
    )
    return ActionResult({"ImageId": image.id})


def get_console_output(self: Any) -> ActionResult:
    """GetConsoleOutput: the machine's own journal."""
    self.error_on_dryrun()
    instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
    output = base64.b64encode(instance.console().encode()).decode()
    return ActionResult({"InstanceId": instance.id, "Timestamp": utcnow(), "Output": output})


def parse_block_device_mapping(self: Any) -> list[dict[str, Any]]:
    """BlockDeviceMappings of RunInstances; what is not said to stay goes with the instance, which moto has reversed."""
    mappings: list[dict[str, Any]] = _moto_block_device_mapping(self)
    for mapping, said in zip(mappings, self._get_param("BlockDeviceMappings", []), strict=True):
        mapping["Ebs"]["DeleteOnTermination"] = said.get("Ebs", {}).get("DeleteOnTermination", True)
    return mappings
