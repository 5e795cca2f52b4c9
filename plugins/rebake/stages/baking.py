"""What baking a base image and baking an application share: reuse an image of the same inputs, or run Packer."""

from abc import abstractmethod
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.sdk import Context

from rebake import tags
from rebake.estate.inventory import Image
from rebake.exceptions import CloudUnreachableError, ImageError, ToolFailedError, ToolKilledError
from rebake.hooks.builder import BuilderHook
from rebake.hooks.image import ImageHook
from rebake.hooks.network import NetworkHook
from rebake.image.recipe import Recipe
from rebake.release.results import BakeResult
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.guards import RevocationGuard
from rebake.stages.rendered import as_bool, as_text
from rebake.stages.tooling import Access, RunningTool, reachable, run_tag, workspace_key
from rebake.tools import packer
from rebake.tools.workspace import Workspace, workspace

NOTES: Final = "packer"
"""Key in the task's state store, which outlives a killed try, of the resources that Packer has logged."""


class BakeStage(EnvironmentConnection, AwsBaseOperator[ImageHook]):
    """What baking a base image and baking an application have in common.

    A try first removes the resources that a killed try of the same run left. Then it looks for an image with the
    fingerprint; an image without its tags was never finished, and is removed.

    Args:
        force: bake even if an image of the same inputs exists (templated; a boolean or its name).
    """

    aws_hook_class = ImageHook
    commit: str = ""
    build_id: str = ""

    def __init__(self, *, force: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.force = force

    revocations = cached_property(RevocationGuard)

    @cached_property
    def tool(self) -> RunningTool:
        """Packer, while it bakes."""
        return RunningTool()

    def on_kill(self) -> None:
        """Stop Packer."""
        self.tool.stop()

    @abstractmethod
    def recipe(self, work: Workspace) -> Recipe:
        """Return the recipe of the image; files that it needs go to `work`."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Return an available image of the inputs, a `BakeResult`.

        Raises:
            ConfigError: a parameter or a file is wrong.
            ArtifactError: the artifact is missing or damaged.
            ImageError: the image to bake on does not exist, or the new one is not usable.
            RevokedError: the image to bake on, or the only one of the same inputs, was revoked.
            ToolMissingError: Packer is not on this worker.
            ToolFailedError: Packer failed.
            ToolKilledError: Packer was killed; the next try removes what it left.
        """
        with reachable(self.hook):
            image, reused = self._image(context)
            # After the bake, because Packer 1.6 cannot set it; a reused image may lack it if its bake was killed here.
            self.hook.demand_imds_v2(image)
        self.log.info("%s %s (%s)", "reusing" if reused else "baked", image.id, image.name)
        return BakeResult(
            ami_id=image.id,
            version=image.tags.get(tags.VERSION, ""),
            # A reused image may name another commit with the same bytes: the release names the requested one.
            commit=as_text(self.commit) or image.tags.get(tags.COMMIT, ""),
            build_id=as_text(self.build_id) or image.tags.get(tags.BUILD_ID, ""),
            template_version=image.tags.get(tags.TEMPLATE_VERSION, ""),
            fingerprint=image.tags.get(tags.FINGERPRINT, ""),
            base_ami=image.tags.get(tags.BASE_AMI, ""),
            reused=reused,
        ).model_dump(mode="json")

    def _image(self, context: Context) -> tuple[Image, bool]:
        force = as_bool(self.force, "force_bake")
        run = run_tag(context)
        with workspace(workspace_key(context)) as work:
            recipe = self.recipe(work)
            self.log.info(
                "fingerprint of %s %s on %s: %s", recipe.subject, recipe.label, recipe.base_ami, recipe.fingerprint
            )
            self._sweep(context, run)
            for unfinished in self.hook.unfinished(recipe.name_prefix):
                self.log.warning("removing %s (%s): its bake was not finished", unfinished.id, unfinished.name)
                self.hook.remove(unfinished)
            found = self.hook.find(recipe.kind, recipe.subject, recipe.fingerprint)
            # An image of this run is the result of an earlier try, forced or not.
            own = next((image for image in found if image.tags.get(tags.DAG_RUN) == run), None)
            if own is not None:
                self._refuse(own, recipe, "trigger a new run with force_bake")
                return own, False
            if found and not force:
                return self._reusable(found, recipe), True
            return self._bake(context, recipe, work, run), False

    def _reusable(self, found: list[Image], recipe: Recipe) -> Image:
        """Return the newest image that is not revoked. If all are, the inputs are bad: refuse."""
        good = next((image for image in found if tags.REVOKED not in image.tags), found[0])
        self._refuse(good, recipe, "the same inputs make the same image: change them, or set force_bake")
        return good

    def _refuse(self, image: Image, recipe: Recipe, way_out: str) -> None:
        service = recipe.subject if recipe.kind == tags.KIND_APP_IMAGE else ""
        self.revocations.refuse(image.id, f"{recipe.subject} {recipe.label}", service=service, way_out=way_out)

    def _bake(self, context: Context, recipe: Recipe, work: Workspace, run: str) -> Image:
        access = Access.of(self.hook)
        network = NetworkHook(**self.connection).resolve(self.environment.network)
        runner = packer.Packer(
            work,
            environment=access.environment,
            log=self.log,
            poll_seconds=self.environment.poll_seconds,
            secrets=access.secrets,
            on_line=lambda line: self._note(context, line),
        )
        variables = recipe.variables(self.environment, network, access.endpoint, run, datetime.now(tz=UTC))
        try:
            with self.tool.running(runner):
                ami_id = runner.build(recipe.template, variables)
        except Exception as error:
            # Packer cleans up after itself; this removes what it failed to.
            self._sweep_quietly(context, run)
            what = f"baking {recipe.subject} {recipe.label} failed: {error}"
            if isinstance(error, (ToolFailedError, CloudUnreachableError)):
                raise type(error)(what) from error
            if isinstance(error, ToolKilledError):
                raise ToolKilledError(what, cleans_up=error.cleans_up) from error
            raise
        image = self.hook.available(ami_id, f"the image that Packer has just baked for {recipe.subject}")
        if image.tags.get(tags.FINGERPRINT) != recipe.fingerprint:
            raise ImageError(f"image {ami_id} has just been baked, but lacks the tags of its bake: {dict(image.tags)}")
        return image

    def _sweep(self, context: Context, run: str) -> None:
        removed = BuilderHook(**self.connection).sweep(run, _notes(context), self.environment.poll_seconds)
        if removed:
            self.log.warning("removed orphans of an unfinished bake: %s", ", ".join(removed))

    def _sweep_quietly(self, context: Context, run: str) -> None:
        try:
            self._sweep(context, run)
        except Exception:  # show the bake's own error; the next try sweeps again
            self.log.exception("could not remove the orphans of the failed bake")

    def _note(self, context: Context, line: str) -> None:
        made = packer.resource_in(line)
        if made is None or "task_state_store" not in context:
            return
        kind, name = made
        notes = _notes(context)
        notes[kind] = [*notes.get(kind, []), name]
        context["task_state_store"].set(NOTES, notes)  # type: ignore[arg-type]


def _notes(context: Context) -> dict[str, list[str]]:
    stored = context["task_state_store"].get(NOTES) if "task_state_store" in context else None
    return {str(kind): list(map(str, names)) for kind, names in stored.items()} if isinstance(stored, dict) else {}  # type: ignore[arg-type]
