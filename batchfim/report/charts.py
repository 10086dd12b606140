"""The report's charts, as Bokeh JSON that the page's script draws."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.models import HoverTool, NumeralTickFormatter, Span
from bokeh.palettes import Category10
from bokeh.plotting import figure

from batchfim.metrics.histogram import Histogram
from batchfim.metrics.timeline import Floats, Timeline

PALETTE = Category10[8]  # of medium brightness, visible on white and on black
_MOST_LINES = 8
_QUANTILES = {"slowest": 0, "25 %": 25, "median": 50, "75 %": 75, "fastest": 100}
_BARS = 48
_TOOLS = "xpan,xbox_zoom,reset,save"


@dataclass(frozen=True)
class Chart:
    """A chart: its title, a note for the reader, and Bokeh's JSON."""

    key: str
    title: str
    note: str
    item: dict[str, Any]


def timeline_charts(line: Timeline) -> list[Chart]:
    """Charts of throughput, rows in flight and the cached share over time, by worker."""
    note = "Each shard's rows are spread evenly over its generation; runs follow one another."
    many = len(line.rows_per_s) > _MOST_LINES
    if many:
        note += f" Lines are quantiles over {len(line.rows_per_s)} workers at each time."
    return [
        _lines("throughput", "Rows/s by worker", note, line.edges_s, line.rows_per_s),
        _lines("in-flight", "Rows in flight by worker", note, line.edges_s, line.in_flight),
        _lines(
            "cache",
            "Prompt tokens from the cache by worker",
            note,
            line.edges_s,
            line.cached_share,
            shares=True,
        ),
    ]


def histogram_chart(key: str, title: str, histogram: Histogram, unit: str) -> Chart | None:
    """Number of rows by value: seconds on a logarithmic axis, tokens on a linear one."""
    if not histogram.count:
        return None
    seconds = unit == "s"
    plot = new_plot("log" if seconds else "linear", unit, "rows")
    edges, counts = _log_bars(histogram) if seconds else _plain_bars(histogram)
    bars = plot.quad(
        left=edges[:-1], right=edges[1:], top=counts, bottom=0, color=PALETTE[0], line_color=None
    )
    plot.y_range.start = 0
    tips = [(unit, "@left{0.[0000]} to @right{0.[0000]}"), ("rows", "@top{0,0}")]
    plot.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    for percent, dash in ((50, "solid"), (99, "dashed")):
        value = histogram.percentile(percent)
        plot.add_layout(
            Span(location=value, dimension="height", line_dash=dash, line_color=PALETTE[1])
        )
    note = f"{histogram.count:,} rows; solid line: p50, dashed: p99"
    return Chart(key, title, note, plot_item(plot, key))


def time_use_chart(used: Mapping[str, float]) -> Chart:
    """A single bar of the workers' seconds by use."""
    unit, unit_s = _clock(sum(used.values()))
    plot = new_plot("linear", f"worker {unit}", "", height=130)
    plot.yaxis.visible = plot.ygrid.visible = False
    left = 0.0
    for (name, seconds), color in zip(used.items(), PALETTE, strict=False):
        right = left + seconds / unit_s
        source = {"left": [left], "right": [right], "name": [name], "amount": [seconds / unit_s]}
        bar = plot.quad(
            left="left",
            right="right",
            top=1,
            bottom=0,
            color=color,
            line_color=None,
            legend_label=name,
            source=source,
        )
        tips = [("", "@name"), (f"worker {unit}", "@amount{0,0.00}")]
        plot.add_tools(HoverTool(renderers=[bar], tooltips=tips))
        left = right
    legend_above(plot)
    return Chart("time-use", "Where the workers' time went", "", plot_item(plot, "time-use"))


def _lines(
    key: str,
    title: str,
    note: str,
    edges: Floats,
    lines: Mapping[str, Floats],
    *,
    shares: bool = False,
) -> Chart:
    unit, unit_s = _clock(edges[-1])
    plot = new_plot("linear", f"{unit} of run time", "")
    middles = (edges[:-1] + edges[1:]) / 2 / unit_s
    for (name, values), color in zip(_few(lines).items(), PALETTE, strict=False):
        heights = [None if math.isnan(value) else float(value) for value in values]
        drawn = plot.line(
            middles, heights, color=color, line_width=2, legend_label=name, name=name, alpha=0.9
        )
        plot.scatter(middles, heights, color=color, size=3, legend_label=name)
        form = "@y{0.0%}" if shares else "@y{0,0.00}"
        tips = [("", name), (unit, "@x{0,0.0}"), ("", form)]
        plot.add_tools(HoverTool(renderers=[drawn], tooltips=tips))
    plot.y_range.start = 0
    if shares:
        plot.y_range.end = 1
        plot.yaxis.formatter = NumeralTickFormatter(format="0%")
    legend_above(plot)
    return Chart(key, title, note, plot_item(plot, key))


def _few(lines: Mapping[str, Floats]) -> Mapping[str, Floats]:
    """Each worker's line, or the quantiles over them at each time if there are many."""
    if len(lines) <= _MOST_LINES:
        return lines
    table = np.array(list(lines.values()))
    known = ~np.isnan(table).all(axis=0)
    found = {}
    for name, percent in _QUANTILES.items():
        values = np.full(table.shape[1], np.nan)
        values[known] = np.nanpercentile(table[:, known], percent, axis=0)
        found[name] = values
    return found


def _log_bars(histogram: Histogram) -> tuple[Floats, Floats]:
    """Bars that each join several of the histogram's buckets."""
    lowest, highest = min(histogram.buckets), max(histogram.buckets)
    width = max(math.ceil((highest - lowest + 1) / _BARS), 1)
    counts: Floats = np.zeros((highest - lowest) // width + 1)
    for bucket, count in histogram.buckets.items():
        counts[(bucket - lowest) // width] += count
    bounds = [lowest + number * width for number in range(len(counts) + 1)]
    return np.array([Histogram.bound(bucket - 1) for bucket in bounds]), counts


def _plain_bars(histogram: Histogram) -> tuple[Floats, Floats]:
    """Bars of equal width, a whole number of tokens."""
    width = max(math.ceil((histogram.max + 1) / _BARS), 1)
    counts: Floats = np.zeros(int(histogram.max) // width + 1)
    for bucket, count in histogram.buckets.items():
        value = min(round(Histogram.middle(bucket)), int(histogram.max))
        counts[value // width] += count
    return np.arange(len(counts) + 1, dtype=np.float64) * width - 0.5, counts


def _clock(seconds: float) -> tuple[str, float]:
    """Suitable unit for a duration, and that unit in seconds."""
    if seconds < 600:
        return "seconds", 1.0
    return ("minutes", 60.0) if seconds < 36_000 else ("hours", 3600.0)


def new_plot(x_axis: str, x_label: str, y_label: str, height: int = 240, **more: Any) -> Any:
    """A transparent plot without a logo; its colors come from the page's style sheet.

    `more` is passed to Bokeh's `figure`.
    """
    plot = figure(
        height=height,
        sizing_mode="stretch_width",
        tools=_TOOLS,
        x_axis_type=x_axis,
        x_axis_label=x_label,
        y_axis_label=y_label,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **more,
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.xgrid.grid_line_color = None
    return plot


def legend_above(plot: Any) -> None:
    if plot.legend:
        plot.add_layout(plot.legend[0], "above")
        plot.legend[0].orientation = "horizontal"
        plot.legend[0].click_policy = "hide"
        plot.legend[0].background_fill_alpha = 0
        plot.legend[0].border_line_alpha = 0
        plot.legend[0].label_text_color = "#808890"


def plot_item(plot: Any, key: str) -> dict[str, Any]:
    return dict(json_item(plot, f"chart-{key}"))


def chart_json(charts: Sequence[Chart]) -> dict[str, str]:
    """Each chart's JSON by its key, escaped for a script element of the page."""
    return {
        chart.key: json.dumps(chart.item).replace("<", "\\u003c").replace("&", "\\u0026")
        for chart in charts
    }
