"""The stage `bake`: reuse an image of the same inputs, or bake one with Packer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.hooks.ssm import SsmHook
from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields

from rebake import config, tags
from rebake.exceptions import ImageError, ToolFailedError
from rebake.hooks.builder import BuilderHook
from rebake.hooks.image import ImageHook
from rebake.hooks.network import NetworkHook
from rebake.hooks.revocation import ReleaseStage
from rebake.image import artifact, channels, recipe
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.rendered import as_bool, as_text
from rebake.stages.tooling import Access, ToolStage, reachable, run_tag, workspace_key
from rebake.tools import packer
from rebake.tools.workspace import Workspace, workspace

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rebake.estate.inventory import Image
    from rebake.image.recipe import Recipe

NOTES: Final = "packer"
"""Key in the task's state store, which outlives a killed try, of what Packer said that it made."""


class _BakeStage(ReleaseStage, ToolStage, EnvironmentConnection, AwsBaseOperator[ImageHook]):
    """What baking a base image and baking an application have in common.

    A try begins with the removal of what a killed try of the same run left. Then it looks for an image with the
    fingerprint; an image without its tags was never finished and is removed, not used.

    Args:
        force: bake even if an image of the same inputs exists (templated; a boolean or its name).
        **kwargs: those of `AwsBaseOperator`.
    """

    aws_hook_class = ImageHook
    commit: str = ""
    build_id: str = ""

    def __init__(self, *, force: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.force = force

    @abstractmethod
    def recipe(self, place: Workspace) -> Recipe:
        """Return what is to be baked; files that it needs go to `place`."""

    def execute(self, context: Context) -> str:
        """Return the id of an available image of the inputs.

        Raises:
            ConfigError: a parameter or a file is wrong.
            ArtifactError: the artifact is missing or damaged.
            ImageError: the image to bake upon is not there, or the new one is not usable.
            RevokedError: the image to bake upon, or the only one of the same inputs, was revoked.
            ToolMissingError: Packer is not on this worker.
            ToolFailedError: Packer failed.
            ToolKilledError: Packer was killed; the next try removes what it left.
            CloudUnreachableError: the AWS API does not answer.
        """
        with reachable(self.hook):
            image, reused = self._image(context)
            # After the bake, because Packer 1.6 cannot; also where an earlier try was killed between the two.
            self.hook.demand_imds_v2(image)
        self.log.info("%s %s (%s)", "reusing" if reused else "baked", image.id, image.name)
        # Of a reused image the commit may be another, whose bytes are the same: the release is of the one asked for.
        asked = {"commit": as_text(self.commit), "build_id": as_text(self.build_id)}
        _push(context, image, asked, reused=reused)
        return image.id

    def _image(self, context: Context) -> tuple[Image, bool]:
        force = as_bool(self.force, "force_bake")
        run = run_tag(context)
        with workspace(workspace_key(context)) as place:
            what = self.recipe(place)
            self.log.info("fingerprint of %s %s on %s: %s", what.subject, what.label, what.base_ami, what.fingerprint)
            self._sweep(context, run)
            for unfinished in self.hook.unfinished(what.name_prefix):
                self.log.warning("removing %s (%s): its bake was not finished", unfinished.id, unfinished.name)
                self.hook.remove(unfinished)
            found = self.hook.find(what.kind, what.subject, what.fingerprint)
            # An image that this very run has baked is the result of an earlier try, forced or not.
            own = next((image for image in found if image.tags.get(tags.DAG_RUN) == run), None)
            if own is not None:
                self._refuse(own, what, "trigger a new run with force_bake")
                return own, False
            if found and not force:
                return self._reusable(found, what), True
            return self._bake(context, what, place, run), False

    def _reusable(self, found: list[Image], what: Recipe) -> Image:
        """Return the newest image that was not revoked. Where all were, the inputs are what is bad."""
        good = next((image for image in found if tags.REVOKED not in image.tags), found[0])
        self._refuse(good, what, "the same inputs make the same image: change them, or set force_bake")
        return good

    def _refuse(self, image: Image, what: Recipe, way_out: str) -> None:
        service = what.subject if what.kind == tags.KIND_APP_IMAGE else ""
        self.refuse_revoked(image.id, f"{what.subject} {what.label}", service=service, way_out=way_out)

    def _bake(self, context: Context, what: Recipe, place: Workspace, run: str) -> Image:
        access = Access(self.hook)
        network = NetworkHook(**self.connection).resolve(self.environment.network)
        runner = self._runner = packer.Packer(
            place,
            environment=access.environment,
            log=self.log,
            poll_seconds=self.environment.poll_seconds,
            secrets=access.secrets,
            on_line=lambda line: self._note(context, line),
        )
        variables = what.variables(self.environment, network, access.endpoint, run, datetime.now(tz=UTC))
        try:
            ami_id = runner.build(what.template, variables)
        except Exception as error:
            # Packer cleans up after itself; should it have failed at that, the run must not leave it behind.
            self._sweep_quietly(context, run)
            if isinstance(error, ToolFailedError):
                raise ToolFailedError(f"baking {what.subject} {what.label} failed: {error}") from error
            raise
        finally:
            self._runner = None
        image = self.hook.available(ami_id, f"the image that Packer has just baked for {what.subject}")
        if image.tags.get(tags.FINGERPRINT) != what.fingerprint:
            raise ImageError(
                f"image {ami_id} has just been baked, but has not the tags of its bake: {dict(image.tags)}"
            )
        return image

    def _sweep(self, context: Context, run: str) -> None:
        removed = BuilderHook(**self.connection).sweep(run, _notes(context), self.environment.poll_seconds)
        if removed:
            self.log.warning("removed what an unfinished bake left: %s", ", ".join(removed))

    def _sweep_quietly(self, context: Context, run: str) -> None:
        try:
            self._sweep(context, run)
        except Exception:  # the bake's own error is the one to show, and the next try sweeps again
            self.log.exception("what the failed bake left could not be removed")

    def _note(self, context: Context, line: str) -> None:
        made = packer.resource_in(line)
        if made is None or "task_state_store" not in context:
            return
        kind, name = made
        notes = _notes(context)
        notes[kind] = [*notes.get(kind, []), name]
        context["task_state_store"].set(NOTES, notes)  # type: ignore[arg-type]


class BakeOperator(_BakeStage):
    """Bake the image of an application's version, or take an existing one; return the AMI id.

    Further XCom keys: `reused`, `fingerprint`, `base_ami`, `version`, `commit`, `build_id`, `template_version`.

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
                f"image {ami_id} holds version {found} of {service.name}, and {version} was asked for: "
                f"give version {found}, or another ami_id"
            )
        self.refuse_revoked(ami_id, f"ami_id of {service.name}", service=service.name)
        return image, True

    def _checked(self) -> tuple[config.Service, str]:
        service = config.load_service(self.service, self.environment)
        return service, service.check_version(as_text(self.version))

    def recipe(self, place: Workspace) -> Recipe:
        """Return the recipe of the version, with its artifact fetched and checked."""
        service, version = self._checked()
        fetched = artifact.fetch(service.name, service.artifact, version, place.path, self._s3_client)
        parameter = channels.parameter_name(channels.base_name(service.base), channels.CURRENT)
        base_ami = SsmHook(**self.connection).get_parameter_value(parameter, default="")
        if not base_ami:
            raise ImageError(
                f"there is no base image {service.base} for {service.name}: parameter {parameter} does not exist; "
                f"run the DAG rebuild_base_image with base={service.base} first"
            )
        needed = f"base image of {service.name}, from parameter {parameter}"
        self.hook.available(base_ami, needed)
        self.refuse_revoked(
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

    def _s3_client(self) -> Any:
        return S3Hook(**self.connection).conn


class BakeBaseOperator(_BakeStage):
    """Bake the base image of a family on the vendor's newest image; return the AMI id.

    Further XCom keys are those of `BakeOperator`; `version` is the template's version.

    Args:
        base: name of the family (templated).
        **kwargs: `force`, and those of `AwsBaseOperator`.
    """

    template_fields: Sequence[str] = aws_template_fields("base", "force")

    def __init__(self, *, base: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.base = base

    def recipe(self, place: Workspace) -> Recipe:
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


def _notes(context: Context) -> dict[str, list[str]]:
    stored = context["task_state_store"].get(NOTES) if "task_state_store" in context else None
    return {str(kind): list(map(str, names)) for kind, names in stored.items()} if isinstance(stored, dict) else {}  # type: ignore[arg-type]


def _push(context: Context, image: Image, asked: Mapping[str, str], *, reused: bool) -> None:
    ti = context["ti"]
    ti.xcom_push(key="reused", value=reused)
    for key, tag in (
        ("fingerprint", tags.FINGERPRINT),
        ("base_ami", tags.BASE_AMI),
        ("version", tags.VERSION),
        ("commit", tags.COMMIT),
        ("build_id", tags.BUILD_ID),
        ("template_version", tags.TEMPLATE_VERSION),
    ):
        ti.xcom_push(key=key, value=asked.get(key) or image.tags.get(tag, ""))
