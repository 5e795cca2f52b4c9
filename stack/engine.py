"""The container engine: a Docker engine where one answers, else a Podman of this clone's own."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import docker
import requests
from docker.errors import DockerException

from localcloud.engine import LABEL, list_images
from stack import processes
from stack.console import step
from stack.errors import StackError
from stack.layout import SOCKET_LIMIT, Layout
from stack.processes import Process, stop

DOCKER_SOCKET = Path("/var/run/docker.sock")

_CONTAINERS_CONF = """\
[containers]
# A host may not let us raise limits, and these are enough for the instances.
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]

[network]
network_backend = "netavark"
network_config_dir = "{podman}/networks"

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
image_copy_tmp_dir = "{podman}/tmp"
# Of our own, as the storage is: Podman's default would be shared by all clones on the machine.
tmp_dir = "{run}/libpod"
lock_type = "file"
# A keeper of each program run in a container lives on for so many seconds, by default 300.
exit_command_delay = 30
"""

_STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{podman}/storage"
runroot = "{run}"
"""


class Engine:
    """The engine that this clone uses.

    Args:
        layout: The clone.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.own = not _is_docker(DOCKER_SOCKET)
        socket = layout.podman_run / "engine.sock" if self.own else DOCKER_SOCKET
        if len(str(socket)) > SOCKET_LIMIT:
            raise StackError(f"{socket} is too long for the path of a socket")
        self.socket = socket
        self.url = f"unix://{socket}"
        self.process = Process(layout.own, "engine")

    def client(self) -> docker.APIClient:
        """Return a client of the engine's API."""
        return docker.APIClient(base_url=self.url, version="auto", timeout=300)

    def answers(self) -> bool:
        """Return whether the engine answers."""
        if not self.socket.exists():
            return False
        try:
            with contextlib.closing(docker.APIClient(base_url=self.url, version="auto", timeout=5)) as client:
                return bool(client.ping())
        except (DockerException, requests.RequestException):
            return False

    def start(self) -> None:
        """Start our own Podman, unless a Docker engine is used or Podman runs already.

        Raises:
            StackError: it does not answer within a minute.
        """
        if self.answers():
            return
        if not self.own:
            raise StackError(f"the Docker engine at {self.url} does not answer: start it, then run this again")
        step("starting Podman, with storage of the project's own")
        stop([self.process])
        podman, run = self.layout.podman, self.layout.podman_run
        for folder in (podman, podman / "tmp", podman / "networks"):
            folder.mkdir(parents=True, exist_ok=True)
        (podman / "containers.conf").write_text(_CONTAINERS_CONF.format(podman=podman, run=run))
        (podman / "storage.conf").write_text(_STORAGE_CONF.format(podman=podman, run=run))
        subprocess.run([*as_root(), "mkdir", "-p", "-m", "0711", str(run)], check=True)
        subprocess.run([*as_root(), "rm", "-f", str(self.socket)], check=True)
        settings = {
            "CONTAINERS_CONF": f"{podman}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{podman}/storage.conf",
            "TMPDIR": str(podman / "tmp"),
            "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
            "HOME": str(podman),
        }
        prefix = [*as_root(), "env", *(f"{name}={value}" for name, value in settings.items())] if as_root() else []
        self.process.start([*prefix, "podman", "system", "service", "--time=0", self.url], settings)
        deadline = time.monotonic() + 60
        while not self.answers():
            self.process.require()
            if time.monotonic() > deadline:
                raise StackError(f"Podman does not answer at {self.url}. {self.process.log}:\n{self.process.tail()}")
            if as_root() and self.socket.exists():
                subprocess.run([*as_root(), "chown", str(os.getuid()), str(self.socket)], check=False)
            time.sleep(0.05)

    def orphans(self) -> list[str]:
        """Return what the engine still holds of this clone's embedded cloud: containers, networks, images."""
        labelled = {"label": [f"{LABEL}={self.layout.clone_id}"]}
        with contextlib.closing(self.client()) as client:
            return [
                *(f"container {item['Id'][:12]}" for item in client.containers(all=True, filters=labelled)),
                *(f"network {item['Name']}" for item in client.networks(filters=labelled)),
                *(f"image {tag}" for item in list_images(client, labelled) for tag in item["RepoTags"] or [item["Id"]]),
            ]

    def remove_orphans(self) -> None:
        """Remove what a killed embedded cloud of this clone left in the engine."""
        labelled = {"label": [f"{LABEL}={self.layout.clone_id}"]}
        with contextlib.closing(self.client()) as client:
            for container in client.containers(all=True, filters=labelled):
                client.remove_container(container["Id"], force=True, v=True)
            for network in client.networks(filters=labelled):
                client.remove_network(network["Id"])
            for image in list_images(client, labelled):
                client.remove_image(image["Id"], force=True)

    def stop(self) -> None:
        """Stop our own Podman and undo its mounts; a Docker engine is not ours to stop."""
        if not self.own:
            return
        if self.process.pid:
            step("stopping Podman")
        stop([self.process])
        # The containers' keepers (conmon) outlive the service, and would create its folders again when they end.
        deadline = time.monotonic() + 5
        while (left := processes.keepers(str(self.layout.podman))) and time.monotonic() < deadline:
            for keeper in left:
                processes.kill(keeper, signal.SIGKILL)
            time.sleep(0.05)
        for mount in sorted(_mounts_below(self.layout.podman, self.layout.podman_run), key=len, reverse=True):
            subprocess.run([*as_root(), "umount", "--lazy", mount], check=False, capture_output=True)
        if self.layout.podman_run.exists():
            subprocess.run([*as_root(), "rm", "-rf", str(self.layout.podman_run)], check=False)


def as_root() -> list[str]:
    """Return what to put before a command that only root may run."""
    return [] if os.geteuid() == 0 else [shutil.which("sudo") or "sudo", "-n"]


def _is_docker(socket: Path) -> bool:
    """Return whether a Docker engine, and not Podman posing as one, listens there and lets us in."""
    if not os.access(socket, os.W_OK):
        return False
    try:
        with contextlib.closing(docker.APIClient(base_url=f"unix://{socket}", version="auto", timeout=5)) as client:
            version = client.version()
    except (DockerException, requests.RequestException):
        return False
    return version.get("Os") == "linux" and any(part["Name"] == "Engine" for part in version.get("Components") or [])


def _mounts_below(*folders: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    mounts = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    return [mount for mount in mounts if any(Path(mount).is_relative_to(folder) for folder in folders)]
