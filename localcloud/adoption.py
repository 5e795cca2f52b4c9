"""How moto is made to use this package's classes and actions instead of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from moto.core.utils import camelcase_to_underscores, get_service_model


class AdoptedBackend:
    """A backend that is defined outside moto: moto looks for its routes beside its class, where there are none."""

    @property
    def _url_module(self) -> Any:
        """The module of routes of the backend in moto that it derives from."""
        motos = next(each for each in type(self).__mro__ if each.__module__.startswith("moto."))
        return import_module(f"{motos.__module__.removesuffix('.models')}.urls")


def adopt(backends: Any, backend: type) -> None:
    """Have moto make its backends of a service from another class, for every account and region.

    Args:
        backends: moto's dictionary of the service's backends; those made before are dropped.
        backend: The class, derived from moto's and `AdoptedBackend`.
    """
    backends.clear()
    backends.backend = backend


def answers(module: ModuleType, owner: type, service: str) -> dict[str, Any]:
    """Return what a module has for moto's class to answer with: by the names of actions of the API, and of its methods.

    Args:
        module: Its functions take the class's response object.
        owner: moto's class.
        service: botocore's name of the API.
    """
    actions = set(map(camelcase_to_underscores, get_service_model(service).operation_names))
    named = {name: value for name, value in vars(module).items() if name in actions or hasattr(owner, name)}
    return {name: value for name, value in named.items() if not name.startswith("__")}


def answer_with(module: ModuleType, owner: type, service: str) -> None:
    """Have moto's class answer with what a module has; see `answers`."""
    for name, value in answers(module, owner, service).items():
        setattr(owner, name, value)


@contextmanager
def adopted(backends: Any, backend: type) -> Iterator[None]:
    """Do so until this ends; see `adopt`."""
    original = backends.backend
    adopt(backends, backend)
    try:
        yield
    finally:
        adopt(backends, original)


def replace(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Set an attribute of a class or module of moto's until a stack is closed."""
    if name in vars(owner):
        stack.callback(setattr, owner, name, vars(owner)[name])
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, value)
