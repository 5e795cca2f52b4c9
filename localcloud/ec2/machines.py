"""The container behind one instance: booting it, knowing when it is up, and taking it down again.

Each step here may take seconds and none may hold the cloud's lock. Steps of one machine never overlap; terminating
interrupts a boot.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from localcloud.exceptions import EngineError

if TYPE_CHECKING:
    from localcloud.engine import Engine

BOOT_SECONDS = 90
"""How long an instance may take until it answers; a healthy one takes about a second."""
POLL_SECONDS = 0.05
SYSTEMD_POLL_SECONDS = 1.0
"""How often systemd is polled for the end of boot, for images that do not run sshd."""
REBOOT_MARK = "/var/lib/localcloud/rebooting"
"""Left on the disk by the OS image's reboot unit, because a container that reboots merely exits."""
SEED = "/var/lib/localcloud/seed"
CLOUD_INIT_ID = "/var/lib/cloud/data/instance-id"
"""Where programs that do not query the metadata service read their instance's id."""


@dataclass
class Machine:
    """One instance's container."""

    engine: Engine
    instance_id: str
    image: str  # the engine's
    address: str
    authorized_key: str = ""  # in OpenSSH's format
    user_data: bytes = b""  # decoded
    files: Mapping[str, bytes] = field(default_factory=dict)  # by absolute path, on its disk from the start
    _step: threading.Lock = field(default_factory=threading.Lock)
    _abandoned: threading.Event = field(default_factory=threading.Event)
    _created: bool = False

    def boot(self, hangs: float | None = None) -> str:
        """Start the container, made first if need be, and wait until it answers; return why it does not, or "".

        With `hangs`, do nothing for so many seconds instead: what a fault wants.
        """
        with self._step:
            if self._abandoned.is_set():
                return "terminated while pending"
            if hangs is not None:
                ended = self._abandoned.wait(hangs)
                return "terminated while pending" if ended else f"a fault kept it from booting for {hangs:g} s"
            try:
                if not self._created:
                    hostname = f"ip-{self.address.replace('.', '-')}"
                    self.engine.create(self.instance_id, self.image, self.address, hostname, self._seed())
                    self._created = True
                self.engine.start(self.instance_id)
                return self._wait_until_up()
            except EngineError as error:
                return str(error)

    def halt(self) -> None:
        """Shut down in an orderly way and wait for it."""
        with self._step:
            self.engine.stop(self.instance_id)

    def commit(self, ami_id: str, *, reboot: bool) -> str:
        """Keep the disk, at rest if it may reboot for that, as an image; return the engine's reference to it."""
        with self._step:
            running = self.engine.is_up(self.instance_id)
            if running and reboot:
                self.engine.stop(self.instance_id)
            try:
                return self.engine.commit(self.instance_id, ami_id)
            finally:
                if running and reboot:
                    self.engine.start(self.instance_id)

    def destroy(self) -> None:
        """Remove the container, cutting a boot short."""
        self._abandoned.set()
        with self._step:
            self.engine.remove(self.instance_id)

    def abandon(self) -> None:
        """Cut a boot short, and return when no step is under way; nothing starts afterwards."""
        self._abandoned.set()
        with self._step:
            return

    def means_to_reboot(self) -> bool:
        """Return whether the container that just exited meant to reboot rather than to power off."""
        with suppress(EngineError):
            return self.engine.has_file(self.instance_id, REBOOT_MARK)
        return False

    def _seed(self) -> Mapping[str, bytes]:
        return {
            f"{SEED}/instance-id": f"{self.instance_id}\n".encode(),
            CLOUD_INIT_ID: f"{self.instance_id}\n".encode(),
            f"{SEED}/authorized-key": f"{self.authorized_key.strip()}\n".encode() if self.authorized_key else b"",
            f"{SEED}/user-data": self.user_data,
            **self.files,
        }

    def _wait_until_up(self) -> str:
        begin = time.monotonic()
        polled = begin
        while (now := time.monotonic()) - begin < BOOT_SECONDS:
            if self.engine.answers(self.address):
                return ""
            if now - polled >= SYSTEMD_POLL_SECONDS:
                polled = now
                if not self.engine.is_up(self.instance_id):
                    return "the container exited while it booted"
                if self._systemd_is_done():
                    return ""
            if self._abandoned.wait(POLL_SECONDS):
                return "terminated while pending"
        return f"neither sshd nor systemd reported a finished boot within {BOOT_SECONDS} s"

    def _systemd_is_done(self) -> bool:
        with suppress(EngineError):
            state = self.engine.run(self.instance_id, ["systemctl", "is-system-running"]).stdout.strip()
            return state in (b"running", b"degraded")
        return False
