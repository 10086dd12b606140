"""YAML as plain data: what JSON could say too, and nothing that grows or builds anything."""

from __future__ import annotations

import math
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from batchfim.errors import ConfigError

_MOST = 1 << 63


def parse_yaml(text: str) -> Any:
    """The data of a YAML text.

    Raises:
        ConfigError: it is not YAML, or not plain data; the message is one line, without the place
            the text is from.
    """
    try:
        return _PlainLoader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ConfigError(f"not YAML: {error.problem or error.context}{where}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}") from None
    except (ValueError, ArithmeticError) as error:  # dates and numbers that are none
        raise ConfigError(f"not a date or a number: {error}") from None
    except RecursionError:
        raise ConfigError("nested too deeply") from None


class _PlainLoader(yaml.SafeLoader):
    """The safe loader without aliases and tags.

    A few aliases of aliases make gigabytes of a small file; a tag says what Python is to build.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refused(ComposerError, f"an alias, *{event.anchor}: write the value out", event)
        if getattr(event, "tag", None) is not None:
            raise _refused(ComposerError, f"a tag, {event.tag}: leave it out", event)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise _refused(ConstructorError, f"the key {key.value!r} a second time", key)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)

    def construct_number(self, node: Any) -> float:
        is_int = node.tag.endswith(":int")
        number = self.construct_yaml_int(node) if is_int else self.construct_yaml_float(node)
        if not -_MOST <= number < _MOST or not math.isfinite(number):
            raise _refused(ConstructorError, "a number beyond 64 bits", node)
        return number


def _refused(kind: Any, problem: str, where: Any) -> yaml.MarkedYAMLError:
    error: yaml.MarkedYAMLError = kind(None, None, problem, where.start_mark)
    return error


for _kind in ("int", "float"):
    _PlainLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", _PlainLoader.construct_number)
