"""The stage `retire_images`: take the step that is due for each image, and report what was done and why."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context
from botocore.exceptions import BotoCoreError, ClientError

from rebake import config, tags
from rebake.estate.inventory import Estate, Image
from rebake.estate.outdated import promotions
from rebake.estate.retirement import protection, retire
from rebake.estate.retirement.protection import Situation
from rebake.estate.retirement.pruning import prunings
from rebake.estate.retirement.report import RetireOutcome, RetireResult, of_image, of_snapshot, of_version, report
from rebake.estate.retirement.retire import Decision, Plan, Step
from rebake.exceptions import EstateError
from rebake.hooks.estate import EstateHook
from rebake.hooks.registry import RegistryHook
from rebake.hooks.releases import ReleasesHook
from rebake.hooks.reports import ReportsHook
from rebake.hooks.retirement import RetirementHook
from rebake.image.channels import base_name, service_name
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.rendered import as_bool, as_text
from rebake.stages.tooling import reachable

BATCH: Final = 25
"""Images between two scans of what is in use; at a few calls each, a scan is seconds old when it counts."""


class RetireImagesOperator(EnvironmentConnection, AwsBaseOperator[RetirementHook]):
    """Deprecate, disable and deregister what is due (`rebake.estate.retirement.retire`); return the report's key.

    Safe to repeat: each try scans everything anew, and a step that was taken is not due again.

    Args:
        dry: whether to change nothing, `true` or `false`; as the environment's policy has it if empty (templated).
    """

    aws_hook_class = RetirementHook
    template_fields: Sequence[str] = aws_template_fields("dry")

    def __init__(self, *, dry: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dry = dry

    def execute(self, context: Context) -> str:
        """Return the object key of the report.

        Raises:
            ConfigError: `dry` is neither true nor false.
            EstateError: what is in use could not be seen whole, and nothing was changed; or AWS refused a change.
        """
        dry_run = as_bool(self.dry, "dry_run") if as_text(self.dry) else self.environment.policy.retirement.dry_run
        with reachable(self.hook):
            run = _Run(self.hook, self.connection, self.environment, dry_run=dry_run)
            run.go()
        written = report(
            run.plan,
            run.situation,
            region=self.environment.region,
            dry_run=dry_run,
            images=run.images,
            versions=run.versions,
            snapshots=run.snapshots,
            blind_spots=run.blind_spots,
        )
        key = ReportsHook(**self.connection).write(self.environment.bucket, written)
        self.log.info("%s\n\nwrote s3://%s/%s", written.to_text(), self.environment.bucket, key)
        if run.blind_spots:
            raise EstateError(f"stopped, because what is in use could not be seen whole: {'; '.join(run.blind_spots)}")
        if failed := run.failed:
            raise EstateError(f"AWS refused {len(failed)} changes, the first: {failed[0].thing}: {failed[0].why}")
        return key


class _Run:
    """One run: scans, plans, scans again before each batch, and changes.

    Attributes:
        blind_spots: why it changed nothing, or stopped.
    """

    def __init__(
        self, hook: RetirementHook, connection: dict[str, Any], environment: config.Environment, *, dry_run: bool
    ) -> None:
        self.hook = hook
        self.connection = connection
        self.environment = environment
        self.policy = environment.policy.retirement
        self.dry_run = dry_run
        self.estate_hook = EstateHook(images=hook, **connection)
        self.releases = ReleasesHook(**connection)
        self.images: list[RetireResult] = []
        self.versions: list[RetireResult] = []
        self.snapshots: list[RetireResult] = []

    def _scan(self) -> None:
        # Before the images: the image of a snapshot that is seen now is seen too, unless it is gone.
        self.tagged = list(self.hook.snapshots())
        self.estate: Estate = self.estate_hook.read()
        self.situation = self._situation()
        self.plan: Plan = retire.plan(self.estate, self.situation, self.policy)
        self.blind_spots = list(self.plan.blind_spots)

    @property
    def failed(self) -> list[RetireResult]:
        """What AWS refused."""
        every = [*self.images, *self.versions, *self.snapshots]
        return [result for result in every if result.outcome is RetireOutcome.FAILED]

    def go(self) -> None:
        """Do all of it, unless what is in use cannot be seen whole."""
        self._scan()
        steps: tuple[Callable[[], None], ...] = (self._prune_templates, self._retire_images, self._delete_orphans)
        for step in steps:
            if not self.blind_spots:
                step()

    def _situation(self) -> Situation:
        registry = RegistryHook(**self.connection)
        families = {one.family for one in self.estate.channels if one.family}
        promoted = {
            promotion.ami_id: promotion.at
            for family in sorted(families)
            for promotion in promotions(registry.ssm, family)
        }
        return Situation(
            environment=self.environment.name,
            account=self.hook.account_id,
            now=_now(),
            young=timedelta(minutes=self.policy.young_minutes),
            promoted=promoted,
            held=self._held(),
            without_fleet=self.policy.without_fleet,
            declared=frozenset(config.service_names()),
        )

    def _held(self) -> dict[str, str]:
        records = self.releases.in_progress(self.environment.bucket)
        return {record.ami_id: record.release_id for record in records if record.ami_id}

    def _retire_images(self) -> None:
        due = self.plan.due
        now, later = due[: self.policy.at_most], due[self.policy.at_most :]
        for start in range(0, len(now), BATCH):
            batch = now[start : start + BATCH]
            if self.blind_spots:
                later = now[start:] + later
                break
            self.images += self._retire_batch(batch)
        self.images += [of_image(one, RetireOutcome.WAITS) for one in later]

    def _retire_batch(self, batch: Sequence[Decision]) -> Iterator[RetireResult]:
        names = {_registry_name(one.image) for one in batch}
        fresh = self.estate_hook.rescan(self.estate, [one.image.id for one in batch], names)
        if self._lost_fleets(fresh):
            yield from (of_image(one, RetireOutcome.KEPT, "what is in use could not be seen whole") for one in batch)
            return
        situation = replace(self.situation, now=_now(), held=self._held())
        used = protection.in_use(fresh)
        for one in batch:
            now = fresh.images_by_id.get(one.image.id)
            try:
                why = (
                    _changed(one.image, now) or retire.protected(one.image, used, situation) or self._shared(one.image)
                )
                yield of_image(one, RetireOutcome.KEPT, why) if why else self._take(one)
            except (ClientError, BotoCoreError) as error:
                yield of_image(one, RetireOutcome.FAILED, str(error))

    def _take(self, decision: Decision) -> RetireResult:
        image = decision.image
        if self.dry_run:
            return of_image(decision, RetireOutcome.DRY)
        if decision.step is Step.DEPRECATE:
            at = self.hook.deprecate(image, _now())
            return of_image(decision, RetireOutcome.DONE, f"{decision.reason}; deprecated from {at:%Y-%m-%d %H:%M} UTC")
        if decision.step is Step.DISABLE:
            self.hook.disable(image)
            return of_image(decision, RetireOutcome.DONE)
        left = self.hook.deregister(image)
        if left:
            return of_image(
                decision, RetireOutcome.LEFT, f"the image is gone; its snapshots are in use: {', '.join(left)}"
            )
        return of_image(decision, RetireOutcome.DONE, f"{decision.reason}; with {len(image.snapshots)} snapshots")

    def _shared(self, image: Image) -> str:
        accounts = self.hook.shared_with(image)
        return f"it is shared with {', '.join(accounts)}" if accounts else ""

    def _lost_fleets(self, fresh: Estate) -> bool:
        """Return whether a fleet that was there is not seen any more, and remember it as a blind spot."""
        seen = {fleet.group_name for fleet in fresh.our_fleets}
        lost = [fleet.group_name for fleet in self.estate.our_fleets if fleet.group_name not in seen]
        self.blind_spots += [f"group {name} was seen at first, and not immediately before a change" for name in lost]
        return bool(lost)

    def _prune_templates(self) -> None:
        due = {one.template.id: set(one.numbers) for one in self.plan.prunings if one.numbers}
        if not due:
            return
        services = {self.estate.templates_by_id[template_id].tags.get(tags.SERVICE, "") for template_id in due}
        fresh = self.estate_hook.rescan_templates(self.estate, services)
        if self._lost_fleets(fresh):
            return
        for one in prunings(fresh, self.environment.name, self.policy.keep_template_versions):
            wanted = due.get(one.template.id, set())
            self.versions += self._prune(one.template.id, sorted(wanted & set(one.numbers)))
            self.versions += [
                self._version(
                    one.template.id, number, RetireOutcome.KEPT, one.kept.get(number, "something uses it now")
                )
                for number in sorted(wanted - set(one.numbers))
            ]

    def _prune(self, template_id: str, numbers: list[int]) -> Iterator[RetireResult]:
        if not numbers:
            return
        why = f"nothing uses it, and {self.policy.keep_template_versions} newer ones stay"
        refused: dict[int, str] = {}
        try:
            refused = {} if self.dry_run else self.hook.delete_versions(template_id, numbers)
        except (ClientError, BotoCoreError) as error:
            refused = dict.fromkeys(numbers, str(error))
        done = RetireOutcome.DRY if self.dry_run else RetireOutcome.DONE
        for number in numbers:
            outcome = RetireOutcome.FAILED if number in refused else done
            yield self._version(template_id, number, outcome, refused.get(number, why))

    def _version(self, template_id: str, number: int, outcome: RetireOutcome, why: str) -> RetireResult:
        template = self.estate.templates_by_id[template_id]
        return of_version(template.name, template_id, number, template.tags.get(tags.SERVICE, ""), outcome, why)

    def _delete_orphans(self) -> None:
        found = list(protection.orphans(self.tagged, self.estate, self.situation))
        for snapshot in found[: self.policy.at_most]:
            try:
                self.snapshots.append(self._delete_orphan(snapshot))
            except (ClientError, BotoCoreError) as error:
                self.snapshots.append(of_snapshot(snapshot, RetireOutcome.FAILED, str(error)))
        self.snapshots += [of_snapshot(one, RetireOutcome.WAITS, _ORPHAN) for one in found[self.policy.at_most :]]

    def _delete_orphan(self, snapshot: protection.Snapshot) -> RetireResult:
        if self.hook.snapshot_shares(snapshot.id):
            return of_snapshot(snapshot, RetireOutcome.KEPT, "it is shared")
        if self.dry_run:
            return of_snapshot(snapshot, RetireOutcome.DRY, _ORPHAN)
        if self.hook.delete_snapshot(snapshot.id):
            return of_snapshot(snapshot, RetireOutcome.DONE, _ORPHAN)
        return of_snapshot(snapshot, RetireOutcome.LEFT, "it is in use")


_ORPHAN: Final = "its image is gone"


def _now() -> datetime:
    return datetime.now(UTC)


def _registry_name(image: Image) -> str:
    subject = image.tags[tags.SERVICE]
    return base_name(subject) if image.tags[tags.KIND] == tags.KIND_BASE_IMAGE else service_name(subject)


def _changed(before: Image, now: Image | None) -> str:
    """Return what happened to an image since it was planned for; empty if nothing did."""
    if now is None:
        return "it is gone"
    return "" if now == before else "it was changed meanwhile: its tags, its state or its deprecation"
