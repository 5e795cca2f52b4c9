"""The stage `bake`: reuse an image of the same inputs, or bake one with Packer."""

from collections.abc import Sequence
from typing import Any

from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake import config, tags
from rebake.estate.inventory import Image
from rebake.exceptions import ImageError
from rebake.hooks.bucket import BucketHook
from rebake.image import artifact, channels, recipe
from rebake.image.recipe import Recipe
from rebake.stages.baking import BakeStage
from rebake.stages.rendered import as_text
from rebake.tools.workspace import Workspace


class BakeOperator(BakeStage):
    """Bake the image of an application's version, or take an existing one; return it, a `BakeResult`.

    Args:
        service: name of the service (templated).
        version: the application's version (templated).
        commit: the commit that the artifact was built from (templated).
        build_id: the build that made the artifact (templated).
        ami_id: an image of ours to deploy instead of baking (templated).
        **kwargs: `force`, and those of `AwsBaseOperator`.
    """

    template_fields: Sequence[str] = aws_template_fields("service", "version", "commit", "build_id", "force", "ami_id")

    def __init__(
        self, *, service: str, version: str, commit: str = "", build_id: str = "", ami_id: str = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.version = version
        self.commit = commit
        self.build_id = build_id
        self.ami_id = ami_id

    def _image(self, context: Context) -> tuple[Image, bool]:
        ami_id = as_text(self.ami_id)
        if not ami_id:
            return super()._image(context)
        service, version = self._checked()
        image = self.hook.ours(ami_id, tags.KIND_APP_IMAGE, service.name)
        found = image.tags.get(tags.VERSION, "(none)")
        if found != version:
            raise ImageError(
                f"image {ami_id} holds version {found} of {service.name}, and {version} was requested: "
                f"give version {found}, or another ami_id"
            )
        self.revocations.refuse(ami_id, f"ami_id of {service.name}", service=service.name)
        return image, True

    def _checked(self) -> tuple[config.Service, str]:
        service = config.load_service(self.service, self.environment)
        return service, service.check_version(as_text(self.version))

    def recipe(self, work: Workspace) -> Recipe:
        """Return the recipe of the version, with its artifact fetched and checked."""
        service, version = self._checked()
        s3 = BucketHook(**self.connection)
        fetched = artifact.fetch(service.name, service.artifact, version, work.path, lambda: s3.s3)
        parameter = channels.parameter_name(channels.base_name(service.base), channels.CURRENT)
        base_ami = SsmHook(**self.connection).get_parameter_value(parameter, default="")
        if not base_ami:
            raise ImageError(
                f"there is no base image {service.base} for {service.name}: parameter {parameter} does not exist; "
                f"run the DAG rebuild_base_image with base={service.base} first"
            )
        needed = f"base image of {service.name}, from parameter {parameter}"
        self.hook.available(base_ami, needed)
        self.revocations.refuse(
            base_ami,
            needed,
            service=service.name,
            way_out=f"run the DAG rebuild_base_image with base={service.base} and force_bake first",
        )
        return recipe.Recipe(
            template=recipe.APP,
            subject=service.name,
            base=config.load_base(service.base),
            base_ami=base_ami,
            version=version,
            commit=as_text(self.commit),
            build_id=as_text(self.build_id),
            artifact=fetched,
        )


class BakeBaseOperator(BakeStage):
    """Bake the base image of a family on the vendor's newest image; return it, a `BakeResult`.

    Its `version` is the template's version.

    Args:
        base: name of the family (templated).
        **kwargs: `force`, and those of `AwsBaseOperator`.
    """

    template_fields: Sequence[str] = aws_template_fields("base", "force")

    def __init__(self, *, base: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base = base

    def recipe(self, work: Workspace) -> Recipe:
        """Return the recipe of the family's base image."""
        base = config.load_base(as_text(self.base))
        source = SsmHook(**self.connection).get_parameter_value(base.source_parameter, default="")
        if not source:
            raise ImageError(
                f"the vendor's image for base {base.name} is unknown: parameter {base.source_parameter} does not "
                f"exist in {self.environment.region}; correct source_parameter in config/bases/{base.name}.yaml"
            )
        self.hook.available(source, f"vendor's image of {base.name}, from parameter {base.source_parameter}")
        return recipe.Recipe(
            template=recipe.BASE,
            subject=base.name,
            base=base,
            base_ami=source,
            install_agents=self.environment.install_agents,
        )
