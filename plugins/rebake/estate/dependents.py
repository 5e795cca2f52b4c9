"""The dependents of a new base: which services bake on it, which of them need a new image, and the result."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rebake.config import Service
from rebake.estate.tasks import EstateTask
from rebake.exceptions import ConfigError
from rebake.release.record import ReleaseRecord
from rebake.release.results import Result
from rebake.release.stage import Stage

DEPLOY: Final = "deploy"
BAKE: Final = "bake"
IGNORE: Final = "ignore"

STAGES: Final = (EstateTask.CHOOSE_VERSION, Stage.BAKE, Stage.LAUNCH_PROBE, Stage.PROBE, EstateTask.DEPLOY)
"""The tasks of one service, in their order."""


@dataclass(frozen=True)
class DependentResult:
    """The result of one service.

    Attributes:
        service: its name.
        on_new_base: the setting in its file; empty where the file cannot be read.
        outcome: `deployed`, `baked`, `not needed`, `ignored`, `invalid`, `superseded`, `stopped` or `failed`.
        version: what was baked; empty if nothing was.
        ami_id: the image; empty if there is none.
        why: the reason, or the release.
    """

    service: str
    on_new_base: str
    outcome: str
    version: str = ""
    ami_id: str = ""
    why: str = ""


class FoundDependents(Result):
    """The base families that a run is about, and the services that nothing is done for."""

    families: tuple[str, ...] = ()
    skipped: tuple[DependentResult, ...] = ()


class ChosenVersion(Result):
    """What is baked again, as the record of the current release has it, and the newest base to bake it on."""

    version: str
    commit: str
    build_id: str
    release_id: str
    base_ami: str


@dataclass(frozen=True)
class TaskResult:
    """One task of a service: its state, what it returned, and why it was skipped or failed."""

    state: str
    result: Any = None
    message: str = ""


def dependents(services: Mapping[str, Service | ConfigError], families: Collection[str]) -> list[str]:
    """Return the services that bake on one of the families and do not ignore it."""
    return [
        name
        for name, service in services.items()
        if isinstance(service, Service) and service.base in families and service.on_new_base != IGNORE
    ]


def skipped(services: Mapping[str, Service | ConfigError], families: Collection[str]) -> Iterator[DependentResult]:
    """Yield the skipped services, for the report."""
    for name, service in services.items():
        if isinstance(service, ConfigError):
            yield DependentResult(name, "", "invalid", why=str(service))
        elif service.base in families and service.on_new_base == IGNORE:
            yield DependentResult(name, IGNORE, "ignored", why=f"config/services/{name}.yaml: on_new_base: ignore")


def reason_to_stay(service: Service, release: ReleaseRecord | None, newest: str) -> str:
    """Return why a service needs no image on the newest base; empty if it does.

    Args:
        service: the service.
        release: the record of the one that it runs; none if it never had any.
        newest: the family's current base; empty if it never had any.
    """
    if not newest:
        return f"{service.base} has no base image: run the DAG rebuild_base_image with base={service.base}"
    if release is None:
        return f"{service.name} was never released: its first deployment bakes on the newest base"
    if release.base_ami == newest:
        return f"release {release.release_id} is baked on {newest}, the newest of {service.base}"
    return ""


def result_of(service: str, on_new_base: str, stages: Mapping[str, TaskResult]) -> DependentResult:
    """Return the result of a dependent.

    Args:
        service: its name.
        on_new_base: the setting in its file.
        stages: by the names in `STAGES`; those that are missing did not begin.
    """
    found: dict[str, TaskResult] = {name: stages.get(name, TaskResult("")) for name in STAGES}
    version = str((found[EstateTask.CHOOSE_VERSION].result or {}).get("version", ""))
    ami_id = str((found[Stage.BAKE].result or {}).get("ami_id", ""))

    def result(outcome: str, why: str) -> DependentResult:
        return DependentResult(service, on_new_base, outcome, version, ami_id, why)

    for name, stage in found.items():
        if stage.state == "failed":
            return result("failed", f"{name}: {stage.message or 'see its log'}")
    chosen, deploy = found[EstateTask.CHOOSE_VERSION], found[EstateTask.DEPLOY]
    if chosen.state == "skipped":
        return result("not needed", chosen.message)
    if deploy.state == "success":
        return result("deployed", f"release {deploy.result}")
    if deploy.state == "skipped" and deploy.message:
        return result("superseded", deploy.message)
    if deploy.state == "skipped" and found[Stage.PROBE].state == "success":
        return result("baked", "the next deployment of the version reuses it")
    return result("stopped", "the run was stopped, or never got so far")
