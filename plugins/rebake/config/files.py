"""Read a configuration file, and report what is wrong with it: the file, the field, the value, what is allowed."""

import os
import re
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from rebake import paths
from rebake.config.strict import Strict
from rebake.exceptions import ConfigError

_Model = TypeVar("_Model", bound=Strict)


def _folder(kind: str) -> Path:
    return Path(os.environ.get("REBAKE_CONFIG") or paths.home() / "config") / kind


def names(kind: str) -> list[str]:
    """Return the names of the files of a kind, sorted, without reading them."""
    return sorted(path.stem for path in _folder(kind).glob("*.yaml"))


def load(kind: str, name: str, model: type[_Model], overrides: dict[str, Any] | None = None) -> _Model:
    """Read and validate a file of a kind, with `overrides` merged over it field by field.

    Raises:
        ConfigError: naming the file, the field, the value and what is allowed.
    """
    path = _folder(kind) / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(names(kind)) or "none"
        raise ConfigError(f"{path}: no such file; known {kind}: {known}")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping, found {type(data).__name__}")
    if kind == "environments":
        data = _expand(data, path)
    try:
        loaded = model.model_validate(_merge(data, overrides or {}))
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(path, problem) for problem in error.errors())) from error
    if loaded.name != name:  # type: ignore[attr-defined]
        raise ConfigError(f"{path}: name: must be {name!r} like the file, found {loaded.name!r}")  # type: ignore[attr-defined]
    return loaded


def _explain(path: Path, problem: Any) -> str:
    field = ".".join(str(part) for part in problem["loc"]) + ": " if problem["loc"] else ""
    found = (
        "" if problem["type"] == "missing" or isinstance(problem["input"], dict) else f", found {problem['input']!r}"
    )
    return f"{path}: {field}{problem['msg'].removeprefix('Value error, ')}{found}"


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _expand(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, path) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, path) for item in value]
    if not isinstance(value, str):
        return value

    def lookup(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise ConfigError(f"{path}: ${{{match[1]}}} is not set in the environment of this process")
        return os.environ[match[1]]

    return re.sub(r"\$\{([A-Z][A-Z0-9_]*)\}", lookup, value)
