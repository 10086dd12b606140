"""The prompt of a record as text, for `batchfim prompt`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchfim.terminal import printable


def prompt_text(shown: Mapping[str, Any]) -> str:
    """Where the record is, if it is a row of the input; its pieces with their ids; the stops."""
    lines = [f"{printable(shown['source'])}, row {shown['row']}"] if "source" in shown else []
    lines.append(f"{shown['family']}, order {shown['order']}, {shown['prompt_tokens']} tokens")
    for piece in shown["pieces"]:
        lines.append(f"{piece['kind']:>8}  {piece['text']!r}  {piece['token_ids']}")
    lines.append(f"   stops  {shown['stop_token_ids']}")
    return "\n".join(lines)
