"""Parameter Store: moto's, with AWS's limits, and with images that are checked after PutParameter has answered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Final

from moto.core.utils import utcnow
from moto.ssm.exceptions import ParameterNotFound, ValidationException
from moto.ssm.models import PARAMETER_VERSION_LIMIT, Parameter, ParameterDict, SimpleSystemManagerBackend

from localcloud.pages import page
from localcloud.ssm import exceptions

if TYPE_CHECKING:
    from localcloud.cloud import Cloud

IMAGE: Final = "aws:ec2:image"
"""The data type of a value that has to be an image."""
FIXED_DATA_TYPES: Final = (IMAGE, "aws:ssm:integration")
"""Data types that a parameter keeps."""
VALIDATION_SECONDS: Final = 0.3
"""How long an image's check takes; AWS promises no time."""
PUBLIC: Final = "/aws/"
"""Where AWS publishes parameters, which belong to no account."""
NAME_CHARACTERS: Final = 1011
LEVELS: Final = 15
TAGS: Final = 50
SIZES: Final = {"Standard": 4096, "Advanced": 8192}
_NAME: Final = re.compile(r"[\w.-]+|(/[\w.-]+)+", re.ASCII)


class Parameters(ParameterDict):
    """Parameters by name. The public ones are found, but are not among those that an account lists."""

    def __contains__(self, name: object) -> bool:
        """Return whether the parameter exists: moto leaves an empty list where one was looked for."""
        return super().__contains__(str(name)) and bool(self[str(name)])

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the account's own parameters."""
        return (name for name, versions in list(self.items()) if versions and not name.startswith(PUBLIC))

    def get_keys_beginning_with(self, path: str, recursive: bool) -> Iterator[str]:
        """Yield the names below a path, with a slash at its end; public ones below a public path."""
        self._check_loading_status(path)
        public = [name for name, versions in self.items() if versions and name.startswith(PUBLIC)]
        for name in public if path.startswith(PUBLIC) else self:
            below = name if path == "/" else name.removeprefix(path)
            if (path == "/" or below != name) and (recursive or "/" not in below[1:]):
                yield name


class ParameterStore(SimpleSystemManagerBackend):
    """Parameter Store of one account and region."""

    cloud: ClassVar[Cloud]

    def __init__(self, region_name: str, account_id: str) -> None:
        self._pending: list[tuple[float, Parameter]] = []  # by when: those whose images are not checked yet
        super().__init__(region_name, account_id)
        self._parameters = Parameters(account_id, region_name)

    @property
    def _parameters(self) -> ParameterDict:
        """Every parameter, as it is by now."""
        while self._pending and self._pending[0][0] <= self.cloud.clock():
            self._settle(self._pending.pop(0)[1])
        return self._stored

    @_parameters.setter
    def _parameters(self, parameters: ParameterDict) -> None:
        self._stored = parameters

    def publish(self, name: str, image_id: str) -> None:
        """Set a public parameter, one of those under /aws that only AWS may write, to an image's id."""
        self._stored[name].append(
            Parameter(  # type: ignore[abstract] # as moto itself makes them
                account_id=self.account_id,
                name=name,
                value=image_id,
                parameter_type="String",
                description=None,
                allowed_pattern=None,
                keyid=None,
                last_modified_date=utcnow(),
                version=1,
                data_type=IMAGE,
                tier="Standard",
            )
        )

    def put_parameter(  # type: ignore[override] # our response passes everything by keyword
        self,
        *,
        name: str,
        value: str,
        parameter_type: str | None,
        allowed_pattern: str | None,
        overwrite: bool | None,
        tags: list[dict[str, str]] | None,
        data_type: str | None,
        tier: str | None,
        policies: str | None,
        **others: Any,
    ) -> Parameter:
        """Add a version of a parameter: at once, or as soon as the image that it names is checked."""
        name = name.strip()
        _require_name(name)
        versions = self._parameters[name]
        previous = versions[-1] if versions else None
        if previous and overwrite:
            _require_same_kind(previous, parameter_type, data_type)
        _require_pattern(value, allowed_pattern)
        before = list(versions)
        parameter = super().put_parameter(
            name=name,
            value=value,
            parameter_type=parameter_type,  # type: ignore[arg-type] # moto takes none, too
            allowed_pattern=allowed_pattern,  # type: ignore[arg-type]
            overwrite=bool(overwrite),
            tags=tags or [],
            data_type=data_type or (previous.data_type if previous else "text"),
            tier=_tier(value, tier or (previous and previous.tier) or self.default_parameter_tier, previous, policies),
            policies=policies,
            **others,
        )
        if parameter.data_type == IMAGE:
            versions[:] = before
            self._pending.append((self.cloud.clock() + VALIDATION_SECONDS, parameter))
        return parameter

    def delete_parameter(self, name: str) -> None:
        """Delete one of the account's own parameters."""
        if name.startswith(PUBLIC) or name not in self._parameters:
            raise ParameterNotFound(f"Parameter {name} not found.")
        super().delete_parameter(name)

    def delete_parameters(self, names: list[str]) -> list[str]:
        """Delete those of the account's own parameters that exist, and return their names."""
        return super().delete_parameters([name for name in names if not name.startswith(PUBLIC)])

    def add_tags_to_resource(self, resource_type: str, resource_id: str, tags: dict[str, str]) -> None:
        """Tag a resource."""
        if len({*self.list_tags_for_resource(resource_type, resource_id), *tags}) > TAGS:
            raise exceptions.too_many_tags()
        super().add_tags_to_resource(resource_type, resource_id, tags)

    def get_parameters_by_path(self, path: str, *args: Any, **kwargs: Any) -> tuple[list[Parameter], str | None]:
        """Return a page of the parameters below a path."""
        if not path.startswith("/"):
            raise ValidationException(
                "The parameter doesn't meet the parameter name requirements. The parameter name must begin with a "
                'forward slash "/".'
            )
        return super().get_parameters_by_path(path, *args, **kwargs)

    def _get_values_nexttoken(self, values_list: list[Any], max_results: int, token: str | None = None) -> Any:
        return page(values_list, int(max_results), token, exceptions.invalid_next_token)

    def _get_history_nexttoken(self, history: list[Any], token: str | None, max_results: int) -> Any:
        return page(history, int(max_results), token, exceptions.invalid_next_token)

    def _settle(self, parameter: Parameter) -> None:
        """Add the version whose image was checked, or drop it silently."""
        image = self.cloud.backend("ec2", self.account_id, self.region_name).launchable_image(parameter.value)
        if image is None or image.state != "available":
            if not self._stored[parameter.name]:
                self._resource_tags["Parameter"].pop(parameter.name, None)
            return
        versions = self._stored[parameter.name]
        parameter.version = versions[-1].version + 1 if versions else 1
        versions.append(parameter)
        del versions[:-PARAMETER_VERSION_LIMIT]


def _require_name(name: str) -> None:
    """Make sure that a parameter may have that name."""
    if len(name) > NAME_CHARACTERS:
        raise ValidationException(f"Parameter name must be no longer than {NAME_CHARACTERS} characters.")
    if "/" in name and not name.startswith("/"):
        raise ValidationException("Parameter name must be a fully qualified name.")
    if not _NAME.fullmatch(name):
        raise ValidationException(
            "Parameter name: it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix "
            "of letters, numbers and the following 3 symbols .-_"
        )
    if name.count("/") > LEVELS:
        raise exceptions.too_many_levels(LEVELS)


def _require_same_kind(previous: Parameter, parameter_type: str | None, data_type: str | None) -> None:
    """Make sure that a new version is of its parameter's type."""
    if parameter_type and parameter_type != previous.parameter_type:
        raise exceptions.type_mismatch(previous.name, previous.parameter_type, parameter_type)
    if data_type and data_type != previous.data_type and {data_type, previous.data_type} & {*FIXED_DATA_TYPES}:
        raise ValidationException(
            f"The data type of parameter {previous.name} can't be changed from {previous.data_type} to {data_type}."
        )


def _require_pattern(value: str, pattern: str | None) -> None:
    """Make sure that a value matches the pattern of its request; AWS says nothing of those of earlier versions."""
    if not pattern:
        return
    try:
        found = re.search(pattern, value)
    except re.error:
        raise exceptions.invalid_allowed_pattern(pattern) from None
    if not found:
        raise exceptions.pattern_mismatch(pattern)


def _tier(value: str, requested: str, previous: Parameter | None, policies: str | None) -> str:
    """Return the tier of a new version."""
    was_advanced = previous is not None and previous.tier == "Advanced"
    tier = requested
    if requested == "Intelligent-Tiering":
        tier = "Advanced" if was_advanced or policies or len(value) > SIZES["Standard"] else "Standard"
    if was_advanced and tier == "Standard":
        raise ValidationException(
            "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the "
            "advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced "
            "parameter and recreate it as a standard parameter."
        )
    if len(value) > SIZES[tier]:
        raise ValidationException(
            f"{tier} tier parameters support a maximum parameter value of {SIZES[tier]} characters."
        )
    return tier
