"""What comes before every action of EC2: its parameters are checked, a dry run ends, a client token answers once."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response
from moto.ec2.responses._base_response import EC2BaseResponse

from localcloud.ec2.validation import check
from localcloud.problems import Problem, render

DRY_RUN = Problem("DryRunOperation", 412, "Request would have succeeded, but DryRun flag is set.")


def guard_actions() -> None:
    """Put the checks before each of moto's actions, and those that replace some."""
    for name, method in inspect.getmembers(EC2Response, inspect.isfunction):
        if not name.startswith("_") and not hasattr(EC2BaseResponse, name):
            setattr(EC2Response, name, _guarded(inspect.unwrap(method)))


def _guarded(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(method)
    def guarded(self: Any) -> Any:
        action = self._get_action()
        check(action, self.params)
        _require_templates(self, action)
        if self.params.get("DryRun"):
            _, headers, body = render(DRY_RUN, "ec2", "POST")
            return DRY_RUN.status, {**dict(headers), "status": DRY_RUN.status}, body
        if self.params.get("ClientToken"):
            return _once(self, action, method)
        return method(self)

    return guarded


def _require_templates(self: Any, action: str) -> None:
    """Make sure that a launch template exists: moto passes over unknown ids, or takes them for names."""
    named = (self.params.get("LaunchTemplateId"), *self.params.get("LaunchTemplateIds", []))
    for template_id in filter(None, named):
        self.ec2_backend.get_launch_template(template_id)
    if action != "CreateLaunchTemplate" and "LaunchTemplateName" in self.params:
        self.ec2_backend.get_launch_template_by_name(self.params["LaunchTemplateName"])


def _once(self: Any, action: str, method: Callable[[Any], Any]) -> Any:
    """Answer as the first request of that client token was answered."""
    answers = self.ec2_backend.answers
    key = action, self.params["ClientToken"]
    request = json.dumps(self.params, sort_keys=True, default=str).encode()
    digest = hashlib.sha256(request).digest()
    if key not in answers:
        answers[key] = digest, method(self)  # a refusal is raised, and not kept
    earlier, answer = answers[key]
    if earlier != digest:
        raise EC2ClientError(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        )
    if action == "RunInstances" and isinstance(answer, ActionResult):
        reservation: Any = answer.result
        if any(instance.state == "terminated" for instance in reservation.instances):
            raise EC2ClientError("IdempotentInstanceTerminated", "The instances of this client token are terminated.")
    return answer
