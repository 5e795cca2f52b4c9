"""What a base image must be like: `assertions` in `config/bases/<family>.yaml`, held against a booted instance."""

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from rebake.config.strict import Strict

Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9@_.+:-]+$")]
"""The name of a package, a unit, a setting or a user: no space, and nothing that a shell would read."""
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9@_.+:/-]+$")]
Mode = Annotated[str, StringConstraints(pattern=r"^[0-7]{4}$")]
Port = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,5}/(tcp|udp)$")]

Step = Literal["accounts", "kernel", "services", "ssh"]
"""A hardening step: `packer/scripts/harden-<step>.sh`, checked by `packer/scripts/checks/harden-<step>.sh`."""


class Packages(Strict):
    """Packages of the operating system, by name."""

    installed: tuple[Word, ...] = ()
    absent: tuple[Word, ...] = ()


class Services(Strict):
    """Units of systemd, with their suffix, such as `ssh.service`."""

    enabled: tuple[Word, ...] = ()
    active: tuple[Word, ...] = ()
    disabled: tuple[Word, ...] = Field((), description="Neither enabled nor active, or not there at all.")


class Ports(Strict):
    """Ports that something listens on at any address but the loopback ones; no others may be open."""

    open: tuple[Port, ...] = Field((), description="Must be open, such as 22/tcp.")
    allowed: tuple[Port, ...] = Field((), description="May be open besides, such as a DHCP client's 68/udp.")


class Users(Strict):
    """Who may do what; whoever is not named may not."""

    superusers: tuple[Word, ...] = Field(("root",), description="May have user id 0.")
    with_shell: tuple[Word, ...] = Field(description="May have a shell to log in to.")
    with_password: tuple[Word, ...] = Field((), description="May log in with a password.")


class FileState(Strict):
    """How one file or folder is kept."""

    mode: Mode | None = None
    owner: Word | None = None
    group: Word | None = None
    absent: bool = False

    @model_validator(mode="after")
    def _absent_or_described(self) -> Self:
        described = any((self.mode, self.owner, self.group))
        if self.absent == described:
            raise ValueError("give either absent: true, or at least one of mode, owner and group")
        return self


class Assertions(Strict):
    """All that is asserted of a family's images before one of them is promoted."""

    hardening: tuple[Step, ...] = Field(
        ("accounts", "kernel", "services", "ssh"), description="Steps whose checks must pass on the instance too."
    )
    packages: Packages = Packages()
    services: Services = Services()
    ports: Ports | None = None
    sysctls: dict[Word, int | str] = Field({})
    users: Users | None = None
    files: dict[AbsolutePath, FileState] = Field({})
    no_build_key: bool = Field(True, description="No authorized_keys holds a key on an instance without key pair.")
    no_ssh_host_keys: bool = Field(True, description="Every host key was made after the image.")
    imds_v2: bool = Field(True, description="The image's ImdsSupport is v2.0: its instances demand IMDSv2.")
