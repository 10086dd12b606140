"""Notes that a reader of a comparison's figures needs; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.families.rows import Row

FAIR = (
    "rows run one after another on the same machine, each as an ordinary job with its own engine, "
    "with the same records, sampling, stop and trim rules",
    "speeds are measured from a ready engine to the last commit; engine starts are separate",
    "computed tokens are prompt tokens minus cached ones; no speed counts cached tokens",
)


def notes_of(rows: Sequence[Row]) -> list[str]:
    """Notes on what is special about these rows."""
    return [*_places(rows), *_runs(rows), *_unlike_rows(rows), *_dummies(rows)]


def not_measured(rows: Sequence[Row], num_records: int) -> list[str]:
    """What the comparison does not measure."""
    left = [f"longer jobs: with {num_records:,} records per row, starts and ends have much weight"]
    if all(row.cost is None for row in rows):
        left.append("cost: no price was given, or no middle was generated")
    if not any(row.quality for row in rows):
        left.append("quality: no row has any; see the reason of each row")
    return [*left, "several engines at once; other machines"]


def _places(rows: Sequence[Row]) -> Iterator[str]:
    hosts = sorted({host for row in rows for host in row.hosts})
    devices = sorted({row.device for row in rows if row.device})
    if len(hosts) > 1:
        yield f"rows ran on several machines ({', '.join(hosts)}): speeds are not comparable"
    if len(devices) > 1:
        yield f"rows ran on several devices ({', '.join(devices)}): speeds are not comparable"


def _runs(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.speed and (row.speed.runs > 1 or row.speed.rows < row.rows["rows"]):
            yield (
                f"{row.name}: its speed covers {row.speed.rows:,} of {row.rows['rows']:,} rows in "
                f"{row.speed.runs} runs, because it was interrupted"
            )


def _unlike_rows(rows: Sequence[Row]) -> Iterator[str]:
    counts = {row.name: row.rows["ok"] for row in rows if row.quality}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        yield f"quality covers each row's own ok middles, whose numbers differ: {told}"


def _dummies(rows: Sequence[Row]) -> Iterator[str]:
    names = [row.name for row in rows if row.weights == "dummy"]
    if names:
        yield (
            f"{', '.join(names)}: dummy weights, so there is no quality; middles seldom end by "
            "themselves, so these rows generate more tokens than with real weights"
        )
