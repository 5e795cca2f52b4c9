"""The release record: what a deployment or rollback made and used, from the commit to the instances."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from rebake import bucket as objects
from rebake.exceptions import ConfigError
from rebake.image.probe_report import ProbeReport
from rebake.release.lease import RunKind
from rebake.release.results import BakeResult, Results

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


_PROGRESS: Final = ".progress.json"


class ReleaseOutcome(StrEnum):
    """How a run ended."""

    IN_PROGRESS = "in_progress"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    """It failed, and the fleet is back on the image before."""
    SUPERSEDED = "superseded"
    """Another run acquired the lease; nobody needs to be woken."""


AmiId = Annotated[str, StringConstraints(pattern="^ami-[0-9a-f]+$")]
InstanceId = Annotated[str, StringConstraints(pattern="^i-")]
Named = Annotated[str, StringConstraints(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


class LaunchTemplate(_Part):
    """A version of a launch template."""

    id: Annotated[str, StringConstraints(pattern="^lt-")]
    """The launch template."""
    version: Annotated[str, StringConstraints(pattern="^[0-9]+$")]
    """The number of its version."""


class Refresh(_Part):
    """An instance refresh."""

    id: str | None
    """Null when no instance refresh was needed."""
    status: str
    """Its last known status, as AWS calls it; empty while it is not over."""


class Instances(_Part):
    """The fleet's instances, by id."""

    before: tuple[InstanceId, ...] = ()
    """Those that were replaced."""
    after: tuple[InstanceId, ...] = ()
    """Those that the group runs at the end."""


class Channels(_Part):
    """The images that the registry's channels point at."""

    candidate: AmiId | None
    """The newest image that passed its checks."""
    current: AmiId | None
    """The image of the last successful release."""
    previous: AmiId | None
    """The image that was current before it."""


class ReleaseRecord(_Part):
    """The lineage of one deployment or rollback: from the commit to the instances.

    Kept as releases/<service>/<release_id>.json once the run is over, and as .progress.json until then. What a run did
    not reach is null or empty.
    """

    schema_version: Literal[1] = 1
    """Version of this schema."""
    release_id: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9-]*-[0-9]{8}T[0-9]{6}-.+$")]
    """<service>-<time of the request, UTC>-<version>, with -2, -3, ... at the end of further records of the run."""
    kind: Literal[RunKind.DEPLOY, RunKind.ROLLBACK]
    """What the run did."""
    restores: str | None = None
    """Of a rollback: the id of the release whose image it returns to; never null once it is successful."""
    service: Named
    """Name of the service."""
    environment: Named
    """Name of the environment."""
    version: Named
    """The application's version."""
    commit: str = ""
    """What the artifact was built from; empty if the run's parameters do not name it."""
    build_id: str = ""
    """The build that made the artifact; empty if the run's parameters do not name it."""
    template_version: str = ""
    """Version of the Packer template."""
    fingerprint: str = ""
    """Digest of everything that went into the image."""
    base_ami: str = ""
    """The image that this one was baked on."""
    ami_id: AmiId | None = None
    """The image; never null once the release is successful."""
    reused: bool = False
    """Whether the image existed already."""
    test_report: ProbeReport | None = None
    """What the image's test found; never null once the release is successful."""
    launch_template: LaunchTemplate | None = None
    """What the fleet's instances were launched from; never null once the release is successful."""
    auto_scaling_group_name: str = ""
    """The fleet's group; never empty once the release is successful."""
    url: str = ""
    """Address of the load balancer."""
    refresh: Refresh | None = None
    """The rollout; never null once the release is successful."""
    instances: Instances = Instances()
    """The instances before and after."""
    channels: Channels | None = None
    """Where the registry's channels point once the release has moved them; null unless it is successful."""
    requested_at: AwareDatetime
    """When the run was requested."""
    requested_by: str
    """Who triggered the run, as Airflow knows them; before that on whose behalf, if another DAG did: new base ami-…"""
    finished_at: AwareDatetime | None = None
    """When the run ended; null while it is in progress."""
    outcome: ReleaseOutcome = ReleaseOutcome.IN_PROGRESS
    """How the run ended. Only successful moves current; rolled_back: failed, and the fleet runs the image before."""
    stage: str = ""
    """The task that failed, or that found the run superseded; otherwise empty."""
    reason: str = ""
    """Why it did not succeed, as a code; empty if it did."""
    explanation: str = ""
    """The same in a sentence."""
    superseded_by: str | None = None
    """<dag_id>/<run_id> of the run that acquired the lease, or made the current release; null unless superseded."""
    dag_run: str
    """<dag_id>/<run_id>, as in the tag rebake:dag-run."""

    @model_validator(mode="after")
    def _consistent(self) -> ReleaseRecord:
        """Hold what is filled in against the outcome."""
        successful = self.outcome is ReleaseOutcome.SUCCESSFUL
        unsuccessful = not successful and self.outcome is not ReleaseOutcome.IN_PROGRESS
        restores = successful and self.kind is RunKind.ROLLBACK
        needed = dict.fromkeys(_NEEDED, True) if successful else {}
        needed |= {"restores": True} if restores else {}
        needed |= {"channels": successful, "finished_at": successful or unsuccessful}
        needed |= {"reason": unsuccessful} | ({"explanation": True} if unsuccessful else {})
        needed |= {"superseded_by": self.outcome is ReleaseOutcome.SUPERSEDED}
        problems = [
            f"{name} must {'' if is_needed else 'not '}be set"
            for name, is_needed in needed.items()
            if bool(getattr(self, name)) is not is_needed
        ]
        if problems:
            raise ValueError(f"release {self.release_id} is {self.outcome}: {', '.join(problems)}")
        return self

    @property
    def is_successful(self) -> bool:
        """Whether the service ran, or runs, its image."""
        return self.outcome is ReleaseOutcome.SUCCESSFUL

    def is_same_release(self, other: ReleaseRecord) -> bool:
        """Return whether another try of the same run wrote `other` after it did the same."""
        return all(getattr(self, name) == getattr(other, name) for name in _IDENTITY)


_NEEDED: Final = ("ami_id", "test_report", "launch_template", "auto_scaling_group_name", "refresh")
"""Fields that no successful release is without."""
_IDENTITY: Final = ("dag_run", "outcome", "ami_id", "launch_template")
"""What two records have in common when two tries of one run that did the same wrote them."""


@dataclass(frozen=True)
class ReleaseRun:
    """The run that a record is about, in the words of the record; `version` is the requested one, if any is."""

    service: str
    environment: str
    kind: RunKind
    version: str
    requested_at: datetime
    requested_by: str
    dag_run: str


def build(run: ReleaseRun, results: Results, **ending: Any) -> ReleaseRecord:
    """Return the record of a run, under its first name.

    Args:
        run: the run.
        results: what its stages have returned so far.
        **ending: fields that only the end of the run has; they take precedence.

    Raises:
        ValueError: the outcome contradicts the other fields.
    """
    image, applied, started = results.image, results.applied, results.started
    fields: dict[str, Any] = {
        "kind": run.kind,
        "service": run.service,
        "environment": run.environment,
        "version": run.version or "unknown",
        "requested_at": to_the_second(run.requested_at),
        "requested_by": run.requested_by,
        "dag_run": run.dag_run,
        "test_report": results.test_report,
    }
    if image:
        fields |= image.model_dump(include=set(BakeResult.model_fields))
    if results.chosen:
        fields["restores"] = results.chosen.release_id
    if applied:
        # Instances that a rollback left alone run the version that they ran before; Terraform's new one is for others.
        number = (started and started.launch_template_version) or applied.launch_template_version
        fields["launch_template"] = LaunchTemplate(id=applied.launch_template_id, version=number)
        fields |= {"auto_scaling_group_name": applied.auto_scaling_group_name, "url": applied.url}
    if started:
        fields["refresh"] = Refresh(id=started.refresh_id or None, status=results.refresh_status)
        fields["instances"] = Instances(before=started.instances_before)
    fields |= ending
    fields["release_id"] = next(release_ids(run.service, fields["version"], run.requested_at))
    return ReleaseRecord(**fields)


def to_the_second(moment: datetime) -> datetime:
    """Return a moment as records have it: UTC, to the second."""
    return moment.astimezone(UTC).replace(microsecond=0)


def release_ids(service: str, version: str, requested_at: datetime) -> Iterator[str]:
    """Yield names for a release; the first free one is used.

    They sort by time, and come from when the run was requested: every try of one run gets the same. A second
    name is needed only when two runs were requested in the same second, or a cleared run ended differently.
    """
    name = f"{service}-{requested_at:%Y%m%dT%H%M%S}-{version}"
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def folder(service: str) -> str:
    """Return what the object keys of a service's records begin with."""
    return f"releases/{service}/"


def key(service: str, release_id: str) -> str:
    """Return the object key of a record."""
    return f"{folder(service)}{release_id}.json"


def progress_key(service: str, release_id: str) -> str:
    """Return the object key of the record of a release in progress."""
    return f"{folder(service)}{release_id}{_PROGRESS}"


def latest_first(keys: Collection[str]) -> list[str]:
    """Return the keys of a service's records, newest first; one in progress only while there is no final one."""
    finals = {key for key in keys if not key.endswith(_PROGRESS)}
    in_progress = {key for key in keys if key.endswith(_PROGRESS)}
    open_ones = {key for key in in_progress if key.replace(_PROGRESS, ".json") not in finals}
    # The second record of a run, `...-2`, is the later one: so the ending must not take part.
    return sorted(finals | open_ones, key=lambda key: key.removesuffix(".json"), reverse=True)


def records(s3: S3Client, bucket: str, service: str) -> Iterator[ReleaseRecord]:
    """Yield a service's records, newest first, those in progress too (S3, ListObjectsV2 and GetObject).

    Each is read when it is needed. A release that began after the list was made is not among them.
    """
    return _read_all(s3, bucket, latest_first(objects.keys(s3, bucket, folder(service))))


def in_progress(s3: S3Client, bucket: str) -> Iterator[ReleaseRecord]:
    """Yield the records of all services' releases that have no final one (S3, ListObjectsV2 and GetObject).

    Only these are read: the cost grows with the pages of the list, and not with the releases.
    """
    keys = latest_first(objects.keys(s3, bucket, "releases/"))
    return _read_all(s3, bucket, [key for key in keys if key.endswith(_PROGRESS)])


def _read_all(s3: S3Client, bucket: str, keys: Iterable[str]) -> Iterator[ReleaseRecord]:
    return (found for found in (read(s3, bucket, key) for key in keys) if found is not None)


def current(records: Iterable[ReleaseRecord]) -> ReleaseRecord | None:
    """Return the record of the release that the service runs: the newest that succeeded; none if none ever has.

    Args:
        records: of one service, newest first; no more of them are read than necessary.
    """
    return next((record for record in records if record.is_successful), None)


def read(s3: S3Client, bucket: str, key: str) -> ReleaseRecord | None:
    """Return the record of an object key; none if there is none (S3, GetObject).

    Raises:
        ConfigError: the object is no valid record, or the bucket does not exist.
    """
    content = objects.read(s3, bucket, key)
    try:
        return None if content is None else ReleaseRecord.model_validate_json(content)
    except ValidationError as error:
        raise ConfigError(f"s3://{bucket}/{key} is not a release record: {error}") from error


def asset_uri(environment: str, service: str) -> str:
    """Return the name and URI of the asset that a release of the service updates."""
    return f"rebake://{environment}/{service}/release"
