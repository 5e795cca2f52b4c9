"""Which of a service's actions this package answers, which moto answers, and which nobody does."""

import inspect
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from botocore.session import get_session
from moto.core.utils import camelcase_to_underscores


@dataclass(frozen=True)
class Service:
    """One service of AWS as the embedded cloud answers it.

    Args:
        name: botocore's name of it.
        title: AWS's.
        response: moto's response class, whose methods are its actions.
        backend: This package's backend class.
        wire: This package's module of actions that replace moto's.
        changed: What this package declares: action, and what it does.
    """

    name: str
    title: str
    response: type
    backend: type
    wire: ModuleType
    changed: Mapping[str, str]

    @property
    def all(self) -> list[str]:
        """Every action of the API's model."""
        return list(get_session().get_service_model(self.name).operation_names)

    @property
    def absent(self) -> list[str]:
        """Actions that neither this package nor moto answers."""
        return [action for action in self.all if action not in self.changed and not self._is_answered(action)]

    @property
    def motos(self) -> list[str]:
        """Actions that moto answers by itself."""
        absent = set(self.absent)
        return [action for action in self.all if action not in self.changed and action not in absent]

    @property
    def found_changed(self) -> set[str]:
        """Actions that this package's code replaces by name; what it changes underneath can only be declared."""
        names = {name for owner in self.backend.__mro__ if _is_ours(owner.__module__) for name in vars(owner)}
        names |= {name for name, value in vars(self.wire).items() if _is_ours(getattr(value, "__module__", ""))}
        return {action for action in self.all if camelcase_to_underscores(action) in names}

    def _is_answered(self, action: str) -> bool:
        method: Any = getattr(self.response, camelcase_to_underscores(action), None)
        if method is None:
            return False
        source = inspect.getsource(method)
        # moto has methods that do nothing else; others raise it for what they do not know of an action.
        return "raise NotImplementedError" not in source or "return" in source


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "localcloud"


def services() -> list[Service]:
    """Return the services that this package changes."""
    return [
        _service("autoscaling", "Auto Scaling", "AutoScalingResponse", "LocalAutoScalingBackend"),
        _service("elbv2", "Elastic Load Balancing (version 2)", "ELBV2Response", "LocalELBv2Backend"),
        _service("ec2", "EC2", "EC2Response", "LocalEC2Backend", "vpc"),
        _service("ssm", "Systems Manager", "SimpleSystemManagerResponse", "LocalSSMBackend"),
        _service("cloudwatch", "CloudWatch", "CloudWatchResponse", "LocalCloudWatchBackend"),
    ]


def _service(name: str, title: str, response: str, backend: str, *others: str) -> Service:
    """Return a service, whose changed actions its own part declares, and others."""
    wire = import_module(f"localcloud.{name}.responses")
    changed = [import_module(f"localcloud.{part}.behaviours").ACTIONS for part in (name, *others)]
    return Service(
        name,
        title,
        getattr(import_module(f"moto.{name}.responses"), response),
        getattr(import_module(f"localcloud.{name}.models"), backend),
        wire,
        dict(ChainMap(*reversed(changed))),
    )
