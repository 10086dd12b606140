"""Render the report's page: one file that fetches nothing and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from batchfim.metrics.comparison import off_text
from batchfim.report.texts import visible

_FOLDER = Path(__file__).parent / "page"


def render(context: Mapping[str, Any], template: Path = _FOLDER / "report.html.j2") -> str:
    """Render a page's HTML with the report's template or one that shares its style and scripts.

    Texts are escaped by Jinja, and those from records or users also by `visible`. Should one slip
    through, the browser still runs only the page's own two scripts, identified by their digests,
    and loads nothing.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, _FOLDER]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    environment.filters["visible"] = lambda value: visible(str(value))
    environment.filters["off"] = off_text
    bokeh, script = _bokeh(), _own("report.js")
    return environment.get_template(template.name).render(
        context,
        style=_own("report.css"),
        bokeh=bokeh,
        script=script,
        policy=_policy(bokeh, script),
    )


def _own(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf8")


def _bokeh() -> str:
    """Bokeh's script without widgets."""
    return "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw)


def _policy(*scripts: str) -> str:
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
