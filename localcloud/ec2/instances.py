"""moto's instances, each backed by a container whose state they follow."""

from __future__ import annotations

import base64
import binascii
import copy
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance, InstanceState, StateReason

from localcloud.ec2 import exceptions
from localcloud.ec2.machines import Machine
from localcloud.exceptions import EngineError
from localcloud.faults import instances as faults

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

log = logging.getLogger(__name__)

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


class LocalInstance(Instance):
    """An instance that runs.

    moto changes states at once; here a call only begins a change, and a thread completes it. Everything that reads
    and changes the state holds the cloud's lock.
    """

    cloud: ClassVar[Cloud]
    machine: Machine
    """Set by `launch`, which follows at once wherever an instance is made."""
    _expected_down = False
    """Whether the machine's exit is our own doing, so that it is no news."""
    nics: dict[int, Any] = {}  # noqa: RUF012 # moto replaces it
    _groups: list[Any]

    @property
    def security_groups(self) -> list[Any]:
        """Those of the primary network interface, as at AWS; moto keeps two lists that differ after a change."""
        return self.nics[0].group_set if 0 in self.nics else self._groups

    @security_groups.setter
    def security_groups(self, groups: list[Any]) -> None:
        self._groups = groups
        if 0 in self.nics:
            self.nics[0]._group_set = groups  # noqa: SLF001 # moto has no seam here

    def prep_nics(self, *args: Any, **kwargs: Any) -> None:
        """Make the network interfaces; theirs are the addresses, which moto frees when it forgets the instance."""
        super().prep_nics(*args, **kwargs)
        primary = self.nics[0]
        for address in self._private_ips.difference(primary.subnet_addresses):  # drawn beside an existing interface
            primary.subnet.del_subnet_ip(address)
        self._private_ips.clear()

    @property
    def instance_id(self) -> str:
        """Its id, by the name that DescribeInstanceStatus gives it."""
        return self.id

    @property
    def network_interfaces(self) -> list[NetworkInterface]:
        """Its interfaces; a terminated instance has none."""
        return [] if self.state == "terminated" else super().network_interfaces

    def launch(self, image: str, address: str) -> None:
        """Boot for the first time, from that image of the engine: pending until the machine answers.

        A record has no address of a container's, "", and so that of its subnet.
        """
        if address:
            self._take_address(address)
        self.machine = Machine(
            engine=self.cloud.engine,
            instance_id=self.id,
            image=image,
            address=address or str(self.private_ip),
            authorized_key=self._public_key(),
            user_data=decode_user_data(self.user_data),
            files=faults.files(self.cloud.faults, self),
        )
        self._enter("pending")
        self._in_background("boot", self._boot)

    def start(self) -> InstanceState:
        """Begin to boot a stopped instance; one that runs or boots is left alone, as AWS does."""
        previous = copy.copy(self._state)
        if self.state in ("pending", "running"):
            return previous
        if self.state != "stopped":
            raise exceptions.incorrect_instance_state(self.id, "started")
        super().start()
        self._enter("pending")
        self._in_background("boot", self._boot)
        return previous

    def stop(self) -> InstanceState:
        """Begin an orderly shutdown; an instance that is stopped or stops already is left alone."""
        previous = copy.copy(self._state)
        if self.state in ("stopping", "stopped"):
            return previous
        if self.state in ("shutting-down", "terminated"):
            raise exceptions.incorrect_instance_state(self.id, "stopped")
        super().stop()
        self._enter("stopping", self.state_reason)
        self._in_background("halt", self._halt)
        return previous

    def terminate(self) -> InstanceState:
        """Begin to remove the machine; terminating twice is no error, as at AWS."""
        previous = copy.copy(self._state)
        if self.state not in ("shutting-down", "terminated"):
            self._shut_down(
                StateReason("Client.UserInitiatedShutdown: User initiated shutdown", "Client.UserInitiatedShutdown")
            )
        return previous

    def reboot(self) -> None:
        """Restart the machine; the state stays running, as AWS shows it."""
        if self.state != "running":
            raise exceptions.incorrect_instance_state(self.id, "rebooted")
        self._expected_down = True
        self._in_background("reboot", self._reboot)

    def went_down(self) -> None:
        """Handle a machine that exited by itself: it rebooted, powered off or broke."""
        with self.cloud.lock:
            if self.state != "running" or self._expected_down:
                return
            self._expected_down = True
        if self.machine.means_to_reboot():
            self._boot()
            return
        reason = StateReason(
            "Client.InstanceInitiatedShutdown: Instance initiated shutdown", "Client.InstanceInitiatedShutdown"
        )
        with self.cloud.lock:
            if self.instance_initiated_shutdown_behavior == "terminate":
                self._shut_down(reason)
            else:
                super().stop()
                self._enter("stopped", reason)

    def expect_down(self, expected: bool) -> None:
        """Mark that the machine is about to exit on purpose, or that this is over."""
        with self.cloud.lock:
            self._expected_down = expected

    def console(self) -> str:
        """Return what the machine logged since it booted, or "" when it does not run."""
        if self.state != "running":
            return ""
        try:
            output = self.cloud.engine.run(self.id, ["journalctl", "--boot", "--no-pager", "--lines=500"]).stdout
        except EngineError:
            return ""
        return output.decode(errors="replace")

    # What the background threads do

    def _boot(self) -> None:
        hangs = faults.seconds_pending(self.cloud.faults, self) if self.cloud.engine.runs_machines else None
        problem = self.machine.boot(hangs)
        with self.cloud.lock:
            self._expected_down = False
            if self.state not in ("pending", "running"):
                return
            if problem:
                log.warning("instance %s did not start: %s", self.id, problem)
                self._shut_down(StateReason(f"Server.InternalError: {problem}", "Server.InternalError"))
            else:
                self._enter("running")

    def _halt(self) -> None:
        self._try(self.machine.halt, "stop")
        with self.cloud.lock:
            if self.state == "stopping":
                self._enter("stopped", self.state_reason)

    def _reboot(self) -> None:
        self._try(self.machine.halt, "shut down for its reboot")
        self._boot()

    def _shut_down(self, reason: StateReason) -> None:
        self._enter("shutting-down", reason)
        self._in_background("destroy", lambda: self._destroy(reason))

    def _destroy(self, reason: StateReason) -> None:
        self._try(self.machine.destroy, "lose its container")
        with self.cloud.lock:
            if self.cloud.instance(self.id) is not self:  # a reset dropped it meanwhile
                return
            self.cloud.engine.addresses.release(self.machine.address)
            # moto's own termination deletes volumes and network interfaces and ends the profile's association.
            super().terminate()
            for interface in self.nics.values():
                if not interface.delete_on_termination:
                    interface.instance = interface.attachment_id = interface.attach_time = None
                    interface.status = "available"
            self._enter("terminated", reason)
        self.ec2_backend.remove_condemned_images()

    def _try(self, step: Callable[[], None], what: str) -> None:
        try:
            step()
        except EngineError:
            log.exception("instance %s did not %s", self.id, what)

    def _in_background(self, step: str, work: Callable[[], None]) -> None:
        self.cloud.in_background(f"{step}-{self.id}", work)

    # Details

    def _enter(self, state: str, reason: StateReason | None = None) -> None:
        self._state = InstanceState(state, CODES[state])
        self.state_reason = reason or StateReason()

    def _take_address(self, address: str) -> None:
        """Report the primary interface with the container's address: that in the subnet is reached from nowhere."""
        interface = self.nics[0]
        drawn, interface.private_ip_address = interface.private_ip_address, address
        for entry in interface.private_ip_addresses:
            if entry.get("PrivateIpAddress") == drawn:
                entry["PrivateIpAddress"] = address

    def _public_key(self) -> str:
        key_pair = self.ec2_backend.key_pairs.get(self.key_name) if self.key_name else None
        material = getattr(key_pair, "material_public", None) or ""
        return material.decode() if isinstance(material, bytes) else str(material)


def decode_user_data(user_data: Any) -> bytes:
    """Return user data as the instance reads it; moto holds it encoded, or plain for a launch configuration."""
    if not user_data:
        return b""
    text = str(user_data)
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()
