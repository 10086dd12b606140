"""A forecast as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from batchfim.terminal import plain_table, printable, table_text

_WIDTH = 110


def forecast_text(forecast: Mapping[str, Any]) -> str:
    """Rows, tokens, sharing, hours and cost, and warnings."""
    sample, done = forecast["sample"], forecast["done"]
    if not forecast["rows"]:
        return f"{_done(done)}; nothing is left to do"
    lines = [
        *([f"{_done(done)}; the rest of this forecast is of what is left"] if done["rows"] else []),
        f"{forecast['rows']:,} rows in {forecast['shards']:,} shards, "
        f"{forecast['workers']} workers",
        f"sample: {sample['rows']:,} of {sample['of']:,} records, in {sample['blocks']} blocks, "
        f"seed {sample['seed']}",
        _sizes(forecast["prompt_tokens"]),
        "rows: "
        + ", ".join(f"{_percent(share)} {name}" for name, share in forecast["shares"].items()),
        _sharing(forecast["sharing"]),
        _tokens(forecast),
        *_time(forecast),
        *(f"warning: {printable(line)}" for line in forecast["warnings"]),
    ]
    return "\n".join(lines)


def _done(done: Mapping[str, Any]) -> str:
    failed = f", {done['failed']:,} of them failed (batchfim retry)" if done["failed"] else ""
    return f"done: {done['rows']:,} rows in {done['shards']:,} shards{failed}"


def _sizes(prompt: Mapping[str, float | None]) -> str:
    figures = ", ".join(
        f"{name} {value:,.0f}" for name, value in prompt.items() if value is not None
    )
    return f"prompt tokens per row: {figures or 'no row has a prompt'}"


def _sharing(ways: Sequence[Mapping[str, Any]]) -> str:
    """The shares of prompt tokens that are distinct within a block, and that are computed."""
    table = plain_table("prompts", "distinct", "computed", "cut per row")
    for way in ways:
        cut = way["cut_tokens_per_row"]
        table.add_row(
            way["way"],
            *(_share(way[key]) for key in ("distinct_over_total", "computed_over_total")),
            "-" if cut is None else f"{cut:,.1f} tokens",
        )
    return table_text(table, _WIDTH)


def _tokens(forecast: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{_interval(value)} {name}" for name, value in forecast["tokens"].items())
    return f"tokens: {parts}; completion length from {printable(forecast['completion_basis'])}"


def _time(forecast: Mapping[str, Any]) -> Iterator[str]:
    if forecast["time"] is None:
        yield (
            "no hours or cost, as the speed is not known: --speed-from OUTPUT takes it from an "
            "earlier run on the same model and device, --calibrate measures it"
        )
        return
    time, speed = forecast["time"], forecast["speed"]
    hours = {key: time["wall_s"][key] / 3600 for key in ("value", "low", "high")}
    cost = "" if time["cost"] is None else f", cost {_interval(time['cost'], '.2f')}"
    yield (
        f"time: {_interval(hours, '.3f')} hours, of which {time['before_s']['value']:,.0f} s are "
        f"before and after processing; {_interval(time['gpu_hours'], '.3f')} GPU-hours"
        f"{cost}; speed from {printable(speed['source'])} ({printable(speed['device'])})"
    )


def _interval(value: Mapping[str, float], digits: str = ".0f") -> str:
    middle, low, high = (f"{value[key]:,{digits}}" for key in ("value", "low", "high"))
    return middle if low == high else f"{middle} ({low} to {high})"


def _percent(share: Mapping[str, float]) -> str:
    scaled = {key: 100 * value for key, value in share.items()}
    return f"{_interval(scaled, '.1f')} %"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"
