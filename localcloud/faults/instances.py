"""Faults of instances: they never boot, never serve, or their service dies."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING, Any

from localcloud.exceptions import EngineError

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

    from .models import Fault, Faults

log = logging.getLogger(__name__)

SERVICE_TAG = "rebake:service"
PERIOD = 0.2
"""Seconds between two checks of which services are due."""
UNIT_NAME = re.compile(r"[A-Za-z0-9@_.\\-]+")
DROP_IN = b"[Unit]\nConditionPathExists=/broken-by-a-fault-of-the-embedded-cloud\n"
"""Prevents systemd from starting a unit, without an error: that file never exists."""


def suits(fault: Fault, instance: Any) -> bool:
    """Return whether the fault applies to an instance of moto's."""
    settings = fault.settings
    tags = _tags(instance)
    return (
        settings.get("image", instance.image_id) == instance.image_id
        and settings.get("instance", instance.id) == instance.id
        and all(tags.get(name) == value for name, value in settings.get("tags", {}).items())
    )


def seconds_pending(faults: Faults, instance: Any) -> float | None:
    """Return how long an instance stays pending instead of booting; None when it boots."""
    fault = faults.fire("never-boots", instance.id, lambda each: suits(each, instance), once=True)
    return fault.settings["seconds"] if fault else None


def files(faults: Faults, instance: Any) -> dict[str, bytes]:
    """Return what to put on an instance's disk before its first boot, by path."""
    fault = faults.fire(
        "never-serves", instance.id, lambda each: suits(each, instance) and bool(_unit(each, instance)), once=True
    )
    return {f"/etc/systemd/system/{_unit(fault, instance)}.d/fault.conf": DROP_IN} if fault else {}


class ServiceKiller:
    """Kills services a set time after their instance runs.

    The time starts when the instance is first seen running, or when the fault is made if that is later.
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._ended = threading.Event()

    def start(self) -> None:
        """Start the thread."""
        threading.Thread(target=self._run, name="service-killer", daemon=True).start()

    def stop(self) -> None:
        """Stop the thread."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(PERIOD):
            try:
                self.tick()
            except Exception:
                log.exception("killing services failed; continuing")

    def tick(self) -> None:
        """Check every instance once, and start to kill the services that are due."""
        faults = self._cloud.faults.active("service-dies")
        if not faults:
            return
        now = self._cloud.clock()
        for instance in self._running():
            for fault in faults:
                if not suits(fault, instance):
                    continue
                since = fault.memory.setdefault(instance.id, now)
                if instance.id in fault.drawn or now - since < fault.settings["seconds"]:
                    continue
                unit = _unit(fault, instance)
                if not unit:
                    fault.drawn[instance.id] = False
                elif self._cloud.faults.fire("service-dies", instance.id, fault, once=True):
                    thread = threading.Thread(target=self.kill, args=(instance.id, unit), daemon=True)
                    thread.start()

    def kill(self, instance_id: str, unit: str) -> None:
        """Kill a unit's processes in an instance and prevent any restart."""
        folder = f"/run/systemd/system/{unit}.d"
        script = (
            f"mkdir -p '{folder}' && printf '%s' '{DROP_IN.decode()}' >'{folder}/fault.conf' && "
            f"systemctl daemon-reload; systemctl kill --signal=KILL '{unit}'; systemctl stop '{unit}'; "
            # Kill and stop race, so the unit may end as failed or inactive: reset it to inactive.
            f"systemctl reset-failed '{unit}'"
        )
        try:
            done = self._cloud.engine.run(instance_id, ["/bin/sh", "-c", script])
        except EngineError as error:
            log.warning("cannot kill %s of %s: %s", unit, instance_id, error)
            return
        if done.exit_code:
            log.warning("killing %s of %s failed: %s", unit, instance_id, done.stderr.decode(errors="replace"))

    def _running(self) -> list[Any]:
        with self._cloud.lock:
            return [
                each
                for backend in self._cloud.backends("ec2")
                for each in backend.all_instances()
                if each.state == "running"
            ]


def _tags(instance: Any) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in instance.get_tags()}


def _unit(fault: Fault, instance: Any) -> str:
    """Return the unit that the fault names, else the instance's tag, else ""."""
    service = fault.settings.get("service") or _tags(instance).get(SERVICE_TAG, "")
    if not UNIT_NAME.fullmatch(service):
        log.warning(
            "%s does not hit %s: set SERVICE to its unit, or tag it %s",
            fault.id,
            instance.id,
            SERVICE_TAG,
        )
        return ""
    return f"{service}.service"
