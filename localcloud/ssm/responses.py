"""Requests of Systems Manager that moto does not answer."""

from typing import Any

from moto.core.responses import ActionResult


def list_command_invocations(self: Any) -> ActionResult:
    """ListCommandInvocations."""
    invocations = self.ssm_backend.list_command_invocations(
        self._get_param("CommandId"), self._get_param("InstanceId"), self._get_param("Filters", [])
    )
    plugins = self._get_bool_param("Details", False)
    return ActionResult({"CommandInvocations": [invocation.summary(plugins=plugins) for invocation in invocations]})


def describe_instance_information(self: Any) -> ActionResult:
    """DescribeInstanceInformation, with either form of its filters."""
    filters = {entry["Key"]: entry["Values"] for entry in self._get_param("Filters", [])}
    filters |= {entry["key"]: entry["valueSet"] for entry in self._get_param("InstanceInformationFilterList", [])}
    described = self.ssm_backend.describe_instance_information(filters)
    return ActionResult({"InstanceInformationList": described})
