"""Parse YAML as plain data: only what JSON can express, so no aliases and no tags."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from batchfim.errors import ConfigError

_MOST = 1 << 63


def parse_yaml(text: str) -> Any:
    """Parse a YAML text.

    Raises:
        ConfigError: the text is not YAML or not plain data. The message is one line, and does not
            name the source of the text.
    """
    return _parsed(text, lambda loader: loader.get_single_data())


def parse_documents(text: str) -> list[Any]:
    """Parse a YAML text of any number of documents.

    Raises:
        ConfigError: as `parse_yaml`.
    """
    return list(_parsed(text, _documents))


def _documents(loader: Any) -> list[Any]:
    found = []
    while loader.check_data():
        found.append(loader.get_data())
    return found


def _parsed(text: str, load: Callable[[Any], Any]) -> Any:
    try:
        return load(_PlainLoader(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigError(f"invalid YAML: {error.problem or error.context}{where}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"invalid YAML: {' '.join(str(error).split())}") from None
    except (ValueError, ArithmeticError) as error:  # has the form of a date or number, but is none
        raise ConfigError(f"not a date or a number: {error}") from None
    except RecursionError:
        raise ConfigError("nested too deeply") from None


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases and tags.

    A few aliases of aliases expand a small file to gigabytes; a tag selects the Python object to
    build.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            problem = f"alias *{event.anchor} is not supported: write the value out"
            raise _refused(ComposerError, problem, event)
        if getattr(event, "tag", None) is not None:
            problem = f"tag {event.tag} is not supported: leave it out"
            raise _refused(ComposerError, problem, event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _refused(ConstructorError, f"duplicate key {key.value!r}", key)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)

    def construct_number(self, node: Any) -> float:
        is_int = node.tag.endswith(":int")
        number = self.construct_yaml_int(node) if is_int else self.construct_yaml_float(node)
        if not -_MOST <= number < _MOST or not math.isfinite(number):
            raise _refused(ConstructorError, "number beyond 64 bits", node)
        return number


def _refused(kind: Any, problem: str, where: Any) -> yaml.MarkedYAMLError:
    error: yaml.MarkedYAMLError = kind(None, None, problem, where.start_mark)
    return error


for _kind in ("int", "float"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _PlainLoader.construct_number)
