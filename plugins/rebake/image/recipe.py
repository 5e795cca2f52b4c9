"""A bake, decided before it starts: its inputs, their fingerprint, and the names and tags of its image."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final

from rebake import tags
from rebake.config import Base, Environment, Network
from rebake.image.artifact import Artifact
from rebake.image.fingerprint import SHORT, fingerprint
from rebake.tools.packer import template_folders, template_version

BASE: Final = "base"
APP: Final = "app"

_KINDS: Final = {BASE: tags.KIND_BASE_IMAGE, APP: tags.KIND_APP_IMAGE}
_LONGEST_VERSION: Final = 40
"""Characters of a version that an image's name shows; the name may have 128 in all (EC2, CreateImage)."""


def base_asset_uri(family: str) -> str:
    """Return the address of the Airflow asset that stands for the promoted base image of a family."""
    return f"rebake://bases/{family}"


@dataclass(frozen=True)
class Recipe:
    """What goes into an image and where it comes from."""

    template: str
    """`base` or `app`: the folder below packer/."""
    subject: str
    """The service, or for a base image its family."""
    base: Base
    base_ami: str
    """The image that is baked upon."""
    install_agents: bool = False
    version: str = ""
    """The application's version; a base image has its template's."""
    commit: str = ""
    build_id: str = ""
    artifact: Artifact | None = None

    @property
    def kind(self) -> str:
        """Value of `rebake:kind` of the image."""
        return _KINDS[self.template]

    @cached_property
    def template_version(self) -> str:
        """The template's own version."""
        return template_version(self.template)

    @property
    def label(self) -> str:
        """The version that the image carries."""
        return self.version or self.template_version

    @property
    def content(self) -> dict[str, Any]:
        """The template's variables that influence what is in the image."""
        common = {
            "instance_type": self.base.instance_type,
            "package_manager": self.base.package_manager,
            "ssh_username": self.base.ssh_username,
        }
        if self.artifact is None:
            return common | {"install_agents": self.install_agents}
        return common | {
            "service": self.subject,
            "version": self.version,
            "artifact_sha256": self.artifact.sha256,
        }

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over everything that influences the image's content."""
        return fingerprint(
            folders=template_folders(self.template),
            variables=self.content,
            base_ami=self.base_ami,
            artifact_sha256=self.artifact.sha256 if self.artifact else "",
        )

    @property
    def name_prefix(self) -> str:
        """The image's name up to the time: the same for every bake of the same inputs."""
        version = re.sub(r"[^A-Za-z0-9._-]+", "-", self.label)[:_LONGEST_VERSION]
        return f"rebake-{self.subject}-{version}-{self.fingerprint[:SHORT]}-"

    def image_name(self, now: datetime) -> str:
        """Return the image's name; `now` is in UTC."""
        return f"{self.name_prefix}{now:%Y%m%d%H%M%S}"

    def image_tags(self, name: str, environment: str, run: str) -> dict[str, str]:
        """Return the tags of the image and its snapshots; those without a value are left out."""
        every = {
            "Name": name,
            tags.KIND: self.kind,
            tags.SERVICE: self.subject,
            tags.ENVIRONMENT: environment,
            tags.VERSION: self.label,
            tags.COMMIT: self.commit,
            tags.BUILD_ID: self.build_id,
            tags.TEMPLATE_VERSION: self.template_version,
            tags.FINGERPRINT: self.fingerprint,
            tags.BASE_AMI: self.base_ami,
            tags.DAG_RUN: run,
        }
        return {key: value for key, value in every.items() if value}

    def run_tags(self, environment: str, run: str) -> dict[str, str]:
        """Return the tags of the builder instance and its volumes."""
        return {
            "Name": f"rebake builder {self.subject}",
            tags.KIND: tags.KIND_BUILDER,
            tags.SERVICE: self.subject,
            tags.ENVIRONMENT: environment,
            tags.DAG_RUN: run,
        }

    def variables(
        self, environment: Environment, network: Network, endpoint: str, run: str, now: datetime
    ) -> Mapping[str, Any]:
        """Return all variables of the template but `manifest_path`.

        Args:
            environment: where it is baked.
            network: the VPC and the subnets to bake in.
            endpoint: address of the embedded cloud, empty for AWS.
            run: value of `rebake:dag-run`.
            now: UTC.
        """
        name = self.image_name(now)
        variables: dict[str, Any] = self.content | {
            "region": environment.region,
            "endpoint_url": endpoint,
            "source_ami": self.base_ami,
            "ami_name": name,
            "ssh_interface": environment.ssh_interface,
            "vpc_id": network.vpc_id,
            "subnet_id": network.subnet_ids[0],
            "pipeline_cidrs": list(environment.pipeline_cidrs),
            "instance_profile": environment.builder_instance_profile,
            "image_tags": self.image_tags(name, environment.name, run),
            "run_tags": self.run_tags(environment.name, run),
        }
        if self.artifact is not None:
            variables["artifact_path"] = str(self.artifact.path)
        return variables
