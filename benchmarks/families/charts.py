"""A comparison's plots, made with Bokeh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bokeh.models import HoverTool, NumeralTickFormatter

from batchfim.quality.scores import label
from batchfim.report.charts import PALETTE, Chart, legend_above, new_plot, plot_item
from benchmarks.families.rows import Row
from benchmarks.families.table import quality_text

_MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex")
_ROW_PIXELS = 24


def charts(rows: Sequence[Row], metric: str) -> list[Chart]:
    """The charts with measurements: quality against speed and cost, then speeds."""
    judged = [row for row in rows if row.quality.get(metric)]
    fast = [row for row in judged if row.speed]
    cheap = [row for row in judged if row.cost is not None]
    run = [row for row in rows if row.speed]
    drawn = []
    if fast:
        note = "Up and to the right is better."
        drawn.append(_against("speed", "records/s", note, fast, metric, _records_per_s))
    if cheap:
        note = "Up and to the left is better."
        drawn.append(_against("cost", "cost of 1,000 middles", note, cheap, metric, _cost))
    if run:
        drawn += [_record_bars(run), _token_bars(run)]
    return drawn


def _records_per_s(row: Row) -> float:
    return row.speed.records_per_s if row.speed else 0.0


def _cost(row: Row) -> float:
    return row.cost or 0.0


def _against(
    key: str, unit: str, note: str, rows: Sequence[Row], metric: str, value: Callable[[Row], float]
) -> Chart:
    """Quality with its interval against a figure, with a marker per order and the Pareto front."""
    plot = new_plot("log", unit, label(metric), height=360)
    plot.yaxis.formatter = NumeralTickFormatter(format="0%")
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0.[000]")
    orders = list(dict.fromkeys(row.order for row in rows))
    front = sorted((row for row in rows if key in row.fronts), key=value)
    plot.line(
        [value(row) for row in front],
        [row.quality[metric]["value"] for row in front],
        color=PALETTE[1],
        line_dash="dashed",
        legend_label="Pareto front",
    )
    for place, order in enumerate(orders):
        _points(plot, [row for row in rows if row.order == order], metric, value, place)
    legend_above(plot)
    note = f"{note} Bars: 95 % intervals; dashed: Pareto front, whose rows none beats in both."
    return Chart(key, f"{label(metric)} against {unit}", note, plot_item(plot, key))


def _points(
    plot: Any, rows: Sequence[Row], metric: str, value: Callable[[Row], float], place: int
) -> None:
    scores = [row.quality[metric] for row in rows]
    source = {
        "x": [value(row) for row in rows],
        "y": [score["value"] for score in scores],
        "low": [score["low"] for score in scores],
        "high": [score["high"] for score in scores],
        "name": [row.name for row in rows],
        "told": [quality_text(row, metric) for row in rows],
    }
    color = PALETTE[place % len(PALETTE)]
    plot.segment(source=source, x0="x", x1="x", y0="low", y1="high", color=color, alpha=0.7)
    order = rows[0].order or "-"
    points = plot.scatter(
        source=source,
        x="x",
        y="y",
        size=10,
        color=color,
        marker=_MARKERS[place % len(_MARKERS)],
        legend_label=order,
    )
    plot.text(
        source=source,
        x="x",
        y="y",
        text="name",
        x_offset=8,
        y_offset=-4,
        text_font_size="11px",
        text_color="#808890",
    )
    tips = [("", "@name"), ("", "@x{0,0.[0000]}"), (f"{label(metric)} %", "@told")]
    plot.add_tools(HoverTool(renderers=[points], tooltips=tips))


def _record_bars(rows: Sequence[Row]) -> Chart:
    plot = _bar_plot("records/s", rows)
    names = [row.name for row in rows]
    bars = plot.hbar(
        y=names, right=[_records_per_s(row) for row in rows], height=0.7, color=PALETTE[0]
    )
    plot.add_tools(HoverTool(renderers=[bars], tooltips=[("", "@y"), ("", "@right{0,0.0}")]))
    return Chart("records", "Records/s", "Without engine starts.", plot_item(plot, "records"))


def _token_bars(rows: Sequence[Row]) -> Chart:
    """Computed and output tokens per second: two bars and no sum, as they are different work."""
    plot = _bar_plot("tokens/s", rows)
    kinds = (("computed", "computed (prompt, not cached)"), ("completion", "output"))
    for place, (kind, text) in enumerate(kinds):
        bars = plot.hbar(
            y=[(row.name, 0.2 - 0.4 * place) for row in rows],
            right=[row.speed.tokens_per_s[kind] if row.speed else 0.0 for row in rows],
            height=0.38,
            color=PALETTE[place],
            legend_label=text,
        )
        plot.add_tools(HoverTool(renderers=[bars], tooltips=[("", text), ("", "@right{0,0}")]))
    legend_above(plot)
    note = "Neither includes prompt tokens from the cache."
    return Chart("tokens", "Tokens/s", note, plot_item(plot, "tokens"))


def _bar_plot(unit: str, rows: Sequence[Row]) -> Any:
    names = [row.name for row in reversed(rows)]
    height = 100 + _ROW_PIXELS * len(names)
    plot = new_plot("linear", unit, "", height=height, y_range=names)
    plot.ygrid.grid_line_color = None
    plot.x_range.start = 0
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    return plot
