"""The folders of this clone, and its id on the machine."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

RUNROOT_LIMIT = 50
"""Podman refuses a longer run root."""

SOCKET_LIMIT = 100
"""The kernel's limit for the path of a Unix socket is 107 bytes."""


@dataclass(frozen=True)
class Layout:
    """The folders of one clone.

    Args:
        project: The checkout, with symbolic links resolved.
        name: Of a second stack beside the clone's own, such as that of the tests: it shares the container engine,
            the tools and the operating system image, and nothing else. Empty for the clone's own.
    """

    project: Path
    name: str = ""

    @classmethod
    def here(cls, name: str = "") -> Layout:
        """Return the layout of the checkout that this file lies in."""
        return cls(Path(__file__).resolve().parents[1], name)

    @property
    def own(self) -> Layout:
        """The layout of the clone's own stack, which owns what is shared."""
        return Layout(self.project)

    @property
    def clone_id(self) -> str:
        """Eight hexadecimal digits that distinguish this stack from all others on the machine."""
        return hashlib.sha256(f"{self.project}{self.name and ':'}{self.name}".encode()).hexdigest()[:8]

    @property
    def shared(self) -> Path:
        """Tools, caches, the container engine: made once for the clone, ignored by git."""
        return self.project / ".rebake"

    @property
    def state(self) -> Path:
        """Everything that is made while this stack runs."""
        return self.shared / "stacks" / self.name if self.name else self.shared

    @property
    def logs(self) -> Path:
        """The log of each process."""
        return self.state / "logs"

    @property
    def pids(self) -> Path:
        """The pid file of each process."""
        return self.state / "pids"

    @property
    def airflow(self) -> Path:
        """AIRFLOW_HOME."""
        return self.state / "airflow"

    @property
    def podman(self) -> Path:
        """Images, containers and settings of the Podman that is this clone's own."""
        return self.shared / "podman"

    @property
    def podman_run(self) -> Path:
        """Podman's run root and socket: in the project where its path is short enough, else in /run or /tmp.

        The folder outside is the one exception to "nothing outside the project", forced by the limits above;
        `make down` removes it.
        """
        inside = self.podman / "run"
        if len(str(inside)) <= RUNROOT_LIMIT:
            return inside
        root = "/run" if os.geteuid() == 0 else "/tmp"  # noqa: S108 -- Podman makes it as root, mode 0711.
        return Path(root) / f"rebake-{self.own.clone_id}"

    @property
    def venv_python(self) -> Path:
        """The interpreter that everything runs on."""
        return self.project / ".venv" / "bin" / "python"
