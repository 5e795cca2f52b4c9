"""What the requests of EC2 say that moto does not read."""

from __future__ import annotations

import base64
from typing import Any

from moto.core.responses import ActionResult
from moto.core.utils import utcnow


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
