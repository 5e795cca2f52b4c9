"""Operators and sensors take their AWS connection from the environment file, not from each DAG."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from rebake.config import Environment, load_environment


class EnvironmentConnection:
    """Mixin, left of an Amazon provider's base class: the environment names connection and region.

    The file is read when the task runs. A DAG that names a connection of its own would make one DAG talk to
    two accounts. Every operator here passes further keyword arguments on to the provider's class, and raises
    `CloudUnreachableError` where the AWS API does not answer.
    """

    log: Any

    if TYPE_CHECKING:

        def defer(self, **kwargs: Any) -> NoReturn:
            """Hand over to a trigger; BaseOperator has it."""
            raise NotImplementedError

    @cached_property
    def environment(self) -> Environment:
        """The environment that this task runs in."""
        return load_environment()

    @property
    def connection(self) -> dict[str, Any]:
        """Arguments that point a hook or a trigger at the environment's account and region."""
        return self.environment.connection

    @property
    def _hook_parameters(self) -> dict[str, Any]:
        return {**super()._hook_parameters, **self.connection}  # type: ignore[misc]
