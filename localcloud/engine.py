"""The container engine: the containers, networks and images of one embedded cloud.

Speaks the Docker Engine API, so a Docker engine or Podman's compatible socket will do. Everything made here carries
the label `rebake.localcloud=NAME`, by which `clean_up` finds it again.
"""

import contextlib
import ipaddress
import itertools
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import docker
import requests
from docker.errors import APIError, DockerException, NotFound
from docker.types import IPAMConfig, IPAMPool

from localcloud import network
from localcloud.exceptions import EngineError, ImageInUseError, LocalCloudError
from localcloud.files import archive_of

LABEL = "rebake.localcloud"
INSTANCE_LABEL = "rebake.instance"

STOP_SECONDS = 20
"""How long an instance may take to shut down before it is cut off; systemd itself needs well under one."""

REQUEST_SECONDS = 300
"""Commits of large containers on busy disks are the longest requests."""

_LIST_ATTEMPTS = 10


@dataclass(frozen=True)
class Completed:
    """A program that ran to its end in an instance."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class Engine:
    """One embedded cloud's view of the engine.

    Args:
        url: Where the engine listens, as `unix:///path/to.sock`.
        name: The cloud's name: lower-case letters, digits and dashes.
        memory: Memory cap of an instance, in Docker's notation.
    """

    runs_machines = True
    """Whether instances are containers, which take time to boot and answer at their addresses."""

    def __init__(self, url: str, name: str, memory: str = "512m") -> None:
        self.url = url
        self.name = name
        self.memory = memory
        self.network_name = f"rebake-{name}"
        self.cidr = ""
        self.addresses: network.Addresses
        self.source = ""
        """The address that the cloud itself connects from; "" is the engine's choice."""
        self.on_start: Callable[[str], None] = lambda _: None
        """Called with the id of each instance whose container has been started, and waited for."""
        self._boot_options: dict[str, Any] = {}
        self._environment: dict[str, str] = {}
        self._api: docker.APIClient

    def connect(self) -> None:
        """Connect to the engine and find out what systemd needs on it.

        Raises:
            EngineError: nothing that speaks the Docker API answers there.
        """
        try:
            self._api = docker.APIClient(base_url=self.url, version="auto", timeout=REQUEST_SECONDS, num_pools=32)
            version, info = self._api.version(), self._api.info()
        except (DockerException, requests.RequestException, ValueError) as error:
            raise EngineError(
                f"no container engine answers at {self.url}: start it (`make up` starts Podman's) or name another "
                f"with --engine ({_reason(error)})"
            ) from error
        components = " ".join(component["Name"] for component in version.get("Components") or [])
        if "Podman" not in components:
            # Podman detects an init and sets its container up for systemd; Docker needs these options.
            self._environment = {"container": "docker"}
            # Docker mounts tmpfs noexec by default, and Run Command executes scripts in /run.
            self._boot_options = {"tmpfs": {"/run": "exec", "/run/lock": "", "/tmp": "exec"}}  # noqa: S108 # in the container
            if info.get("CgroupVersion") == "2":
                # Docker mounts the container's own cgroup read-only, and only a privileged container changes that.
                self._boot_options |= {"privileged": True, "cgroupns": "private"}
            else:
                self._boot_options |= {"binds": ["/sys/fs/cgroup:/sys/fs/cgroup:rw"], "cgroupns": "host"}

    # Networks

    def create_network(self, cidr: str | None = None) -> None:
        """Make the instances' bridge network, in a subnet of our own choice unless one is named.

        Raises:
            EngineError: the engine refuses, for instance because the subnet is taken.
        """
        if cidr:
            subnet = ipaddress.IPv4Network(cidr)
        else:
            subnet = network.choose(self.name, network.host_routes() + self._engine_subnets())
        pool = IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))
        with _translated(f"cannot create the network {self.network_name} ({subnet})"):
            self._api.create_network(
                self.network_name,
                driver="bridge",
                ipam=IPAMConfig(pool_configs=[pool]),
                options={"com.docker.network.bridge.name": network.interface_name(self.name)},
                labels={LABEL: self.name},
            )
        self._use(subnet)

    def join_network(self, name: str) -> None:
        """Put the instances into a network that exists already, such as that of a compose project.

        Raises:
            EngineError: there is no such network, or it has no IPv4 subnet.
        """
        try:
            details = self._api.inspect_network(name)
        except NotFound as error:
            raise EngineError(f"the engine has no network {name!r}: create it first or leave --network out") from error
        subnets = network.subnets_of(details)
        if not subnets:
            raise EngineError(f"the network {name!r} has no IPv4 subnet: give it one or leave --network out")
        self.network_name = name
        self._use(subnets[0], network.reserved_in(details))

    def _use(self, subnet: ipaddress.IPv4Network, reserved: ipaddress.IPv4Network | None = None) -> None:
        self.cidr = str(subnet)
        self.addresses = network.Addresses(subnet, reserved)

    def _engine_subnets(self) -> list[ipaddress.IPv4Network]:
        with _translated("cannot list the engine's networks"):
            return [subnet for details in self._api.networks() for subnet in network.subnets_of(details)]

    # Containers

    def container_name(self, instance_id: str) -> str:
        """Return the name of the container behind an instance."""
        return f"rebake-{self.name}-{instance_id}"

    def create(self, instance_id: str, image: str, address: str, hostname: str, files: Mapping[str, bytes]) -> None:
        """Create an instance's container without starting it.

        Args:
            instance_id: Becomes part of the container's name.
            image: Reference or id of the engine's image.
            address: Its address in the instances' network.
            hostname: Its host name.
            files: Contents by absolute path, put into it before its first boot; what lies in `files.PRIVATE` is root's.

        Raises:
            EngineError: the image does not exist, or the engine refuses.
        """
        options: dict[str, Any] = {
            "network_mode": self.network_name,
            "mem_limit": self.memory,
            "pids_limit": 1024,
            **self._boot_options,
        }
        endpoint = self._api.create_endpoint_config(ipv4_address=address)
        name = self.container_name(instance_id)
        with _translated(f"cannot create the container {name} from {image}"):
            self._api.create_container(
                image,
                command=["/sbin/init"],
                name=name,
                hostname=hostname,
                environment=self._environment,
                labels={LABEL: self.name, INSTANCE_LABEL: instance_id},
                stop_signal="SIGRTMIN+3",
                host_config=self._api.create_host_config(**options),
                networking_config=self._api.create_networking_config({self.network_name: endpoint}),  # type: ignore[arg-type] # the stubs err
            )
            self._api.put_archive(name, "/", archive_of(files))

    def start(self, instance_id: str) -> None:
        """Boot the instance's container; nothing happens to one that runs."""
        name = self.container_name(instance_id)
        with _translated(f"cannot start the container {name}"):
            self._api.start(name)
        self.on_start(instance_id)

    def stop(self, instance_id: str) -> None:
        """Shut the instance's container down as a power button would, and wait for it."""
        name = self.container_name(instance_id)
        with _translated(f"cannot stop the container {name}"):
            self._api.stop(name, timeout=STOP_SECONDS)

    def remove(self, instance_id: str) -> None:
        """Cut the instance's container off and remove it; nothing happens when there is none."""
        name = self.container_name(instance_id)
        with _translated(f"cannot remove the container {name}"), contextlib.suppress(NotFound):
            self._api.remove_container(name, force=True, v=True)

    def is_up(self, instance_id: str) -> bool:
        """Return whether the instance's container exists and runs."""
        name = self.container_name(instance_id)
        with _translated(f"cannot inspect the container {name}"):
            try:
                return bool(self._api.inspect_container(name)["State"]["Running"])
            except NotFound:
                return False

    def up(self) -> set[str]:
        """Return the ids of all instances whose containers run."""
        with _translated("cannot list the containers"):
            containers = self._api.containers(filters=self._mine())
        return {
            container["Labels"][INSTANCE_LABEL] for container in containers if INSTANCE_LABEL in container["Labels"]
        }

    def pid(self, instance_id: str) -> int:
        """Return the first process of the instance's container, as the engine's host numbers it; 0 when it is down."""
        name = self.container_name(instance_id)
        with _translated(f"cannot inspect the container {name}"):
            return int(self._api.inspect_container(name)["State"]["Pid"])

    def answers(self, address: str) -> bool:
        """Return whether an SSH server greets at an instance's address."""
        try:
            with socket.create_connection((address, 22), timeout=1, source_address=(self.source, 0)) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def deaths(self) -> Iterator[str]:
        """Yield the id of each instance whose container exits, for as long as the engine's event stream lasts."""
        with _translated("cannot follow the engine's events"):
            # A client of its own, without the read timeout that suits single requests.
            api = docker.APIClient(base_url=self.url, version="auto", timeout=None)  # type: ignore[arg-type] # none at all
            with contextlib.closing(api):
                # Podman knows the event by another name when it filters, so the filter is here.
                for event in api.events(decode=True, filters=self._mine()):
                    instance_id = event["Actor"]["Attributes"].get(INSTANCE_LABEL)
                    if event.get("Action") == "die" and instance_id:
                        yield instance_id

    def run(self, instance_id: str, argv: Sequence[str]) -> Completed:
        """Run a program as root in the instance and wait for it.

        Raises:
            EngineError: the instance is not up, or went down meanwhile.
        """
        return self._run(self.container_name(instance_id), argv)

    def _run(self, name: str, argv: Sequence[str]) -> Completed:
        with _translated(f"cannot run {argv[0]} in the container {name}"):
            identifier = self._api.exec_create(name, list(argv))["Id"]
            stdout, stderr = self._api.exec_start(identifier, demux=True)
            result = self._api.exec_inspect(identifier)
        if result["Running"] or result["ExitCode"] is None:
            raise EngineError(f"{name} went down while {argv[0]} ran in it")
        return Completed(result["ExitCode"], stdout or b"", stderr or b"")

    def has_file(self, instance_id: str, path: str) -> bool:
        """Return whether the instance's container, running or not, has a file at that path on its disk."""
        name = self.container_name(instance_id)
        with _translated(f"cannot inspect the container {name}"):
            try:
                chunks, _ = self._api.get_archive(name, path)
            except NotFound:
                return False
            for _chunk in chunks:  # read to the end, so that the connection can be used again
                pass
            return True

    # The helper, which configures networks

    @property
    def _helper(self) -> str:
        return f"rebake-{self.name}-network"

    def start_helper(self, image: str, address: str) -> None:
        """Start the privileged container that sees every process of the engine's host, at that address.

        Raises:
            EngineError: the engine refuses.
        """
        endpoint = self._api.create_endpoint_config(ipv4_address=address)
        with _translated(f"cannot start the container {self._helper}"):
            self._api.create_container(
                image,
                command=["sleep", "infinity"],
                name=self._helper,
                labels={LABEL: self.name},
                host_config=self._api.create_host_config(
                    network_mode=self.network_name, privileged=True, pid_mode="host"
                ),
                networking_config=self._api.create_networking_config({self.network_name: endpoint}),  # type: ignore[arg-type] # the stubs err
            )
            self._api.start(self._helper)

    def run_helper(self, argv: Sequence[str]) -> Completed:
        """Run a program as root in the helper and wait for it.

        Raises:
            EngineError: the helper is not up.
        """
        return self._run(self._helper, argv)

    # Images

    def image_id(self, reference: str) -> str | None:
        """Return the id of the image with that reference, or None when the engine has none."""
        with _translated(f"cannot look up the image {reference}"):
            try:
                return str(self._api.inspect_image(reference)["Id"])
            except NotFound:
                return None

    def reference(self, ami_id: str) -> str:
        """Return the engine's name for an image of the cloud."""
        return f"localhost/rebake-{self.name}:{ami_id}"

    def commit(self, instance_id: str, ami_id: str) -> str:
        """Keep the disk of an instance as an image, and return its reference."""
        name = self.container_name(instance_id)
        repository, _, tag = self.reference(ami_id).rpartition(":")
        with _translated(f"cannot commit the container {name} as {ami_id}"):
            self._api.commit(name, repository=repository, tag=tag, changes=[f"LABEL {LABEL}={self.name}"])
        return self.reference(ami_id)

    def tag(self, image: str, ami_id: str) -> str:
        """Give an image a second name, and return that reference."""
        repository, _, tag = self.reference(ami_id).rpartition(":")
        with _translated(f"cannot tag {image} as {ami_id}"):
            self._api.tag(image, repository, tag)
        return self.reference(ami_id)

    def remove_image(self, reference: str) -> None:
        """Remove an image of the cloud; nothing happens when it is gone.

        Raises:
            ImageInUseError: a container runs it; never forced, because Podman would remove that container too.
        """
        try:
            self._api.remove_image(reference)
        except NotFound:
            return
        except APIError as error:
            if error.status_code == requests.codes.conflict:
                raise ImageInUseError(f"the image {reference} is in use") from error
            raise EngineError(f"cannot remove the image {reference} ({_reason(error)})") from error

    # Clean-up

    def remove_images(self) -> None:
        """Remove every image of the cloud that no container runs."""
        for reference in self._image_references():
            with contextlib.suppress(ImageInUseError):
                self.remove_image(reference)

    def clean_up(self) -> None:
        """Remove every container, image and network that carries the cloud's label, from this run or another.

        Raises:
            EngineError: something could not be removed; the rest was.
        """
        failures: list[str] = []

        def attempt(remove: Any, identifier: str) -> None:
            try:
                remove(identifier)
            except NotFound:
                pass
            except (DockerException, requests.RequestException) as error:
                failures.append(f"{identifier}: {_reason(error)}")

        with _translated("cannot list what the embedded cloud left in the engine"):
            containers = [container["Id"] for container in self._api.containers(all=True, filters=self._mine())]
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(attempt, itertools.repeat(self._remove_container), containers))
            for reference in self._image_references():
                attempt(self._api.remove_image, reference)
            for details in self._api.networks(filters=self._mine()):
                attempt(self._api.remove_network, details["Name"])
        if failures:
            raise EngineError(f"could not remove everything of the embedded cloud {self.name}: {'; '.join(failures)}")

    def _remove_container(self, identifier: str) -> None:
        self._api.remove_container(identifier, force=True, v=True)

    def _image_references(self) -> list[str]:
        """Names of our images, newest first: an image cannot go before those made from it.

        One whose name went while another was made from it has none left, and goes by its id.
        """
        prefix = self.reference("")
        references = []
        for image in sorted(list_images(self._api, self._mine()), key=lambda image: image["Created"], reverse=True):
            tags = [tag for tag in image["RepoTags"] or [] if tag != "<none>:<none>"]
            references += [tag for tag in tags if tag.startswith(prefix)] if tags else [image["Id"]]
        return references

    def _mine(self) -> dict[str, list[str]]:
        return {"label": [f"{LABEL}={self.name}"]}


def list_images(api: docker.APIClient, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the engine's images; retries when one is deleted while Podman lists them.

    Podman 4 answers 500 then ("image not known") for the whole list.

    Raises:
        docker.errors.APIError: the engine refuses.
    """
    for _ in range(_LIST_ATTEMPTS - 1):
        try:
            return list(api.images(filters=dict(filters)))
        except APIError as error:
            if "image not known" not in _reason(error):
                raise
    return list(api.images(filters=dict(filters)))


def _reason(error: Exception) -> str:
    """Return the engine's error message on one line."""
    text = error.explanation if isinstance(error, APIError) and error.explanation else str(error)
    return " ".join(str(text).split())


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn the engine's errors into ours, prefixed with the failed operation."""
    try:
        yield
    except LocalCloudError:
        raise
    except (DockerException, requests.RequestException) as error:
        raise EngineError(f"{what} ({_reason(error)})") from error
