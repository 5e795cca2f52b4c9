"""Whatever the plugins ask AWS for by name, the pipeline's policies allow."""

import ast
from collections import defaultdict
from pathlib import Path

import botocore.session
from botocore import xform_name

from tests import permissions

SERVICES = ("autoscaling", "cloudwatch", "ec2", "elbv2", "s3", "ssm", "sts")


def _operations() -> dict[str, set[str]]:
    """Return the actions by the name of the client's method; services share a few names."""
    session = botocore.session.get_session()
    found: dict[str, set[str]] = defaultdict(set)
    for service in SERVICES:
        for operation in session.get_service_model(service).operation_names:
            found[xform_name(operation)].add(permissions.action_of(service, operation))
    return found


def _called(file: Path) -> set[str]:
    """Return the names of methods that a file calls, and of those that it pages through."""
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    methods = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
    paged = {
        argument.value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr == "get_paginator"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }
    return methods | {str(name) for name in paged}


def test_every_call_of_the_plugins_is_allowed_by_the_pipelines_policies(project: Path) -> None:
    operations, granted = _operations(), permissions.allowed(project)
    files = sorted((project / "plugins" / "rebake").rglob("*.py"))
    called = {name: file.name for file in files for name in _called(file) if name in operations}

    refused = {
        name: file
        for name, file in called.items()
        if len(permissions.missing(operations[name], granted)) == len(operations[name])
    }

    assert {"terminate_instances", "describe_instances", "put_parameter", "delete_key_pair"} <= set(called)
    assert refused == {}


def test_an_action_that_no_policy_names_is_missed(project: Path) -> None:
    needed = ["ec2:DescribeImages", "ec2:DeleteVpc", "sts:GetCallerIdentity"]

    assert permissions.missing(needed, permissions.allowed(project)) == ["ec2:DeleteVpc"]
