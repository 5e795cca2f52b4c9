"""Requests of Systems Manager that moto does not answer, or answers without pages."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from moto.core.responses import ActionResult, EmptyResult
from moto.core.utils import camelcase_to_underscores, get_service_model

from localcloud.pages import page
from localcloud.ssm import exceptions

PAGE: Final = 50
"""Items that a list returns unless the request wants fewer."""
DESCRIBED_PARAMETERS: Final = 10
"""The same of DescribeParameters."""
_RENAMED: Final = {"Type": "parameter_type", "KeyId": "keyid"}
"""moto's names of PutParameter's parameters, where they are not the API's."""


def put_parameter(self: Any) -> ActionResult:
    """PutParameter, where moto takes the data type that a request does not name for text."""
    members = get_service_model("ssm").operation_model("PutParameter").input_shape.members
    requested = {_RENAMED.get(name, camelcase_to_underscores(name)): self._get_param(name) for name in members}
    parameter = self.ssm_backend.put_parameter(**requested)
    return ActionResult({"Version": parameter.version, "Tier": parameter.tier})


def describe_parameters(self: Any) -> ActionResult:
    """DescribeParameters."""
    found = self.ssm_backend.describe_parameters(self._get_param("Filters"), self._get_param("ParameterFilters"))
    return _paged(self, "Parameters", found, lambda one: one.describe_response_object(False), DESCRIBED_PARAMETERS)


def list_commands(self: Any) -> ActionResult:
    """ListCommands."""
    commands = self.ssm_backend.list_commands(self._get_param("CommandId"), self._get_param("InstanceId"))
    return _paged(self, "Commands", commands, lambda command: command.response_object())


def cancel_command(self: Any) -> ActionResult:
    """CancelCommand."""
    self.ssm_backend.cancel_command(self._get_param("CommandId"), self._get_param("InstanceIds", []))
    return EmptyResult()


def list_command_invocations(self: Any) -> ActionResult:
    """ListCommandInvocations."""
    invocations = self.ssm_backend.list_command_invocations(
        self._get_param("CommandId"), self._get_param("InstanceId"), self._get_param("Filters", [])
    )
    plugins = self._get_bool_param("Details", False)
    return _paged(self, "CommandInvocations", invocations, lambda invocation: invocation.summary(plugins=plugins))


def describe_instance_information(self: Any) -> ActionResult:
    """DescribeInstanceInformation, with either form of its filters."""
    filters = {entry["Key"]: entry["Values"] for entry in self._get_param("Filters", [])}
    filters |= {entry["key"]: entry["valueSet"] for entry in self._get_param("InstanceInformationFilterList", [])}
    described = self.ssm_backend.describe_instance_information(filters)
    return _paged(self, "InstanceInformationList", described, dict)


def _paged(
    self: Any, key: str, items: Sequence[Any], describe: Callable[[Any], dict[str, Any]], size: int = PAGE
) -> ActionResult:
    size, token = self._get_int_param("MaxResults", size), self._get_param("NextToken")
    shown, token = page(items, size, token, exceptions.invalid_next_token)
    return ActionResult({key: [describe(item) for item in shown], "NextToken": token})
