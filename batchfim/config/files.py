"""Build a JobConfig from YAML job files, flags and `--set section.key=value`, in that order."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from batchfim.config.job import HIDDEN, JobConfig
from batchfim.config.plain_yaml import parse_yaml
from batchfim.config.vllm_names import names_to_set
from batchfim.errors import ConfigError

_FLAGS = {
    "input": " (--input)",
    "input.paths": " (--input)",
    "output": " (--output)",
    "output.path": " (--output)",
    "model": " (--model)",
    "model.path": " (--model)",
}
_MISSPELLED = 0.8  # similarity from which a key is a typo of another and not some other word
_EXPECTED = {
    "model_type": "a section with its own keys",
    "model_attributes_type": "a section with its own keys",
    "tuple_type": "a list",
    "dict_type": "keys and values",
}


def load_config(
    path: Path | Sequence[Path] | None,
    flags: Mapping[str, Any] | None = None,
    sets: Iterable[str] = (),
) -> JobConfig:
    """Read job files, apply flags and `--set` overrides, and validate the result.

    Args:
        path: one or more YAML job files, of which later ones override earlier ones; None for a
            job given by flags alone.
        flags: values by dotted key (`model.path`); None values are skipped.
        sets: `section.key=value` strings; the value is parsed as YAML.

    Raises:
        ConfigError: a setting is invalid. The message names the file and the key, and for an
            unknown key the closest known one.
    """
    paths = [path] if isinstance(path, Path) else path or []
    tree: dict[str, Any] = {}
    for file in paths:
        if file.suffix == ".parquet":
            raise ConfigError(
                f"{file}: expected a job file, got Parquet; if it comes from a glob after --input, "
                "quote the glob"
            )
        tree = laid_over(tree, _read_yaml(file))
    return check_config(tree, ", ".join(map(str, paths)) or "the command line", flags, sets)


def nested(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted keys and their values as the nested sections of a job file."""
    tree: dict[str, Any] = {}
    for key, value in settings.items():
        _assign(tree, key, value)
    return tree


def check_config(
    tree: dict[str, Any],
    where: str,
    flags: Mapping[str, Any] | None = None,
    sets: Iterable[str] = (),
) -> JobConfig:
    """Apply flags and overrides to a job's settings, and validate the result, as `load_config`.

    Args:
        tree: sections and their keys; changed in place.
        where: name of the settings' source in errors.
        flags: as in `load_config`.
        sets: as in `load_config`.
    """
    for key, value in (flags or {}).items():
        if value is not None:
            _assign(tree, key, value)
    for text in sets:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise ConfigError(f"--set {text!r}: expected section.key=value")
        _assign(tree, key.strip(), _parse_value(text, value))
    try:
        return JobConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(explain(error, where)) from None


def as_config(job: JobConfig | Mapping[str, Any]) -> JobConfig:
    """A job given in Python: its config, or its sections.

    Raises:
        ConfigError: a setting is invalid.
    """
    return job if isinstance(job, JobConfig) else check_config(dict(job), "config")


def without_hidden(stored: dict[str, Any]) -> dict[str, Any]:
    """Settings read from a ledger, without the keys whose values are hidden there."""
    return {
        key: without_hidden(value) if isinstance(value, dict) else value
        for key, value in stored.items()
        if value != HIDDEN
    }


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Settings merged section by section; `above` overrides `below`."""
    both = {
        key: laid_over(below[key], value)
        for key, value in above.items()
        if isinstance(value, dict) and isinstance(below.get(key), dict)
    }
    return below | above | both


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such job file") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a job file: {error}") from None
    try:
        tree = parse_yaml(text)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected sections such as `input:`, got {type(tree).__name__}")
    return tree


def _parse_value(text: str, value: str) -> Any:
    try:
        return parse_yaml(value)
    except ConfigError as error:
        raise ConfigError(f"--set {text!r}: the value is {error}") from None


def _assign(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, leaf = dotted.split(".")
    node = tree
    for section in sections:
        child = node.setdefault(section, {})
        if not isinstance(child, dict):
            raise ConfigError(f"{dotted}: {section} is {child!r}, not a section")
        node = child
    node[leaf] = value


def explain(error: ValidationError, where: str, root: type[BaseModel] = JobConfig) -> str:
    """A one-line message for a validation error of settings that were read as `root`."""
    lines = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "config"
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key{_nearest(problem['loc'], root)}")
        elif problem["type"] == "missing":
            lines.append(f"{key}: required, but not given{_FLAGS.get(key, '')}")
        elif problem["type"] in _EXPECTED:
            lines.append(f"{key}: expected {_EXPECTED[problem['type']]}, got {problem['input']!r}")
        else:
            lines.append(f"{key}: {problem['msg'].removeprefix('Value error, ')}")
    return f"{where}: " + "; ".join(lines)


def _nearest(location: tuple[int | str, ...], root: type[BaseModel]) -> str:
    fields, key = _known_keys(location[:-1], root), str(location[-1])
    close = difflib.get_close_matches(key, fields, n=1, cutoff=_MISSPELLED)
    elsewhere = [] if close else _elsewhere(location, root)
    found = close or elsewhere or difflib.get_close_matches(key, fields, n=1)
    if found:
        return f"; did you mean {' or '.join(map(repr, found))}?"
    return f"; known keys: {', '.join(fields)}" if fields else ""


def _elsewhere(location: tuple[int | str, ...], root: type[BaseModel]) -> list[str]:
    """Where a key that is not in its section belongs: other sections, vLLM's arguments."""
    if len(location) > 2:
        return []
    key = str(location[-1])
    sections = [name for name in root.model_fields if key in _known_keys((name,), root)]
    if sections or root is not JobConfig or location[0] != "engine":
        return [f"{section}.{key}" for section in sections]
    return [f"engine.args.{key}"] if key in names_to_set() else []


def _known_keys(location: tuple[int | str, ...], root: type[BaseModel]) -> list[str]:
    model: Any = root
    for part in location:
        if isinstance(part, int):  # an index into a list
            continue
        field = model.model_fields.get(str(part))
        if field is None:
            return []
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)
