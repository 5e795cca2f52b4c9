"""How moto is made to use this package's classes and actions instead of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any


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
