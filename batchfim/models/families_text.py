"""The catalog of families as a terminal table and as FAMILIES.md."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import get_args

from rich.console import Console
from rich.table import Table

from batchfim.formats.catalog import CATALOG, OUTSIDERS
from batchfim.formats.catalog.family import FactGroup, Family, Outsider
from batchfim.formats.format import Layout, Text

_INTRODUCTION = """\
# Families

`make families` generates this page from `batchfim/formats/catalog/`; do not edit it by hand.

How each fact is known:

- **real vocabulary**: seen in the model's own tokenizer file
- **library**: read in code that builds or serves the model
- **documentation**: stated by its makers
- **unverified**: from third parties or memory

No token ids are listed: sentinels are looked up by their text in the model's tokenizer, and a
missing sentinel stops the job with an error that names it.

In a layout, text in quotes is literal, and `{tokenizer}` is what the model's own tokenizer puts
before a text. Model names are regular expressions, searched in the lower-case name. `context`
applies if the model's config names none; for models that are not left to right, the smaller of the
two applies.
"""


def families_table() -> str:
    """A table of the families and their defaults, and one of the models that are refused."""
    out = io.StringIO()
    console = Console(file=out, width=120)
    table = Table(title="Families", title_justify="left")
    for heading in ("family", "orders, recommended first", "engine", "context", "names of models"):
        table.add_column(heading, overflow="fold")
    for family in CATALOG.values():
        context = str(family.context_tokens or "")
        names = "  ".join(family.model_ids)
        table.add_row(family.family, ", ".join(_orders(family)), family.engine, context, names)
    refused = Table(title="Refused", title_justify="left")
    for heading in ("models", "reason"):
        refused.add_column(heading, overflow="fold")
    for title, reason, _ in _refusals():
        refused.add_row(title, reason)
    console.print(table, refused)
    return out.getvalue()


def families_markdown() -> str:
    """The text of FAMILIES.md: each family's facts and how each is known."""
    sections = [_INTRODUCTION, _evidence_table(), *map(_section, CATALOG.values()), _refused()]
    return "\n".join(sections)


def layout_text(layout: Layout) -> str:
    """A layout on one line, with literal text in quotes."""
    return " ".join(repr(p.text) if isinstance(p, Text) else p for p in layout)


def _orders(family: Family) -> list[str]:
    return [family.order, *(order for order in family.layouts if order != family.order)]


def _evidence_table() -> str:
    groups = get_args(FactGroup)
    rows = (
        [f"`{family.family}`", *(family.evidence[group] for group in groups)]
        for family in CATALOG.values()
    )
    return _table(["family", *groups], rows)


def _section(family: Family) -> str:
    facts = [
        (
            "orders",
            "; ".join(f"`{o}`: `{layout_text(family.layouts[o])}`" for o in _orders(family)),
        ),
        ("orders that `infill.order: auto` chooses from", _codes(family.alike)),
        (
            "a context file",
            f"`{layout_text(family.context_file)}`" if family.context_file else "",
        ),
        ("precedes the layout", f"`{family.bos}`" if family.bos else "nothing"),
        ("ends a middle", _codes(family.stops)),
        ("also ends it, if in the tokenizer", _codes(family.more_stops)),
        ("stop rules always on", _codes(family.stop_rules)),
        ("get SentencePiece's leading space", ", ".join(family.leading_space)),
        (
            "tokenizer",
            family.tokenizer + (f", normalizes {family.normalizes}" if family.normalizes else ""),
        ),
        ("sentinels flagged special", "yes" if family.special else "no"),
        ("decoding", family.decoding),
        ("context", f"{family.context_tokens} tokens" if family.context_tokens else ""),
        ("architectures", _codes(family.architectures)),
        ("engine", family.engine + _exceptions(family)),
        ("model names", _codes(family.model_ids)),
        ("refused", "; ".join(f"{_codes(v.names)}: {v.reason}" for v in family.refused)),
        ("warned about", "; ".join(f"{_codes(v.names)}: {v.reason}" for v in family.warned)),
        ("notes", _plain(family.notes)),
        ("source", family.source),
    ]
    lines = [f"- {name}: {fact}" for name, fact in facts if fact]
    return "\n".join([f"## {family.family}", "", *lines, ""])


def _exceptions(family: Family) -> str:
    others = {"vLLM": family.vllm_architectures, "Transformers": family.transformers_architectures}
    return "".join(f"; {engine} for {_codes(names)}" for engine, names in others.items() if names)


def _refused() -> str:
    text = (
        "## Models without infilling\n\n"
        "These models are refused by name, with the reason. `infill.order: prefix_only` runs the "
        "ones that are not closed, left to right on the prefix alone, and marks every row as "
        "such.\n"
    )
    return text + "\n" + _table(["models", "reason", "source"], _refusals())


def _refusals() -> list[tuple[str, str, str]]:
    rows = [
        (f"{family.family}: {' '.join(variant.names)}", variant.reason, family.source)
        for family in CATALOG.values()
        for variant in family.refused
    ]
    return rows + [(o.title, o.reason, _source(o)) for o in OUTSIDERS]


def _source(outsider: Outsider) -> str:
    return f"{outsider.source} ({outsider.evidence})"


def _codes(texts: Iterable[str]) -> str:
    return ", ".join(f"`{text}`" for text in texts)


def _plain(text: str) -> str:
    return text.replace("<", "\\<")


def _table(headings: list[str], rows: Iterable[Iterable[str]]) -> str:
    cells = [headings, ["---"] * len(headings), *rows]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
    return "\n".join(lines) + "\n"
