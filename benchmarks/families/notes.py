"""What a reader must know to read a comparison's figures. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.families.rows import Row

FAIR = (
    "one row after the other on the same machine, each an ordinary job with an engine of its own: "
    "the same records, sampling, stop and trim rules",
    "speeds are from the engine's being up to the last commit; its start is apart",
    "computed tokens are the prompt's less those from the cache; no speed counts cached ones",
)


def notes_of(rows: Sequence[Row]) -> list[str]:
    """What is special about these rows."""
    return [*_places(rows), *_runs(rows), *_unlike_rows(rows), *_dummies(rows)]


def not_measured(rows: Sequence[Row], num_records: int) -> list[str]:
    """What no column says."""
    left = [f"longer jobs: {num_records:,} records a row, so that starts and ends weigh much"]
    if all(row.cost is None for row in rows):
        left.append("cost: no price was given, or no middle was made")
    if not any(row.quality for row in rows):
        left.append("quality: no row has any, see each row's reason")
    return [*left, "several engines at once; other machines"]


def _places(rows: Sequence[Row]) -> Iterator[str]:
    hosts = sorted({host for row in rows for host in row.hosts})
    devices = sorted({row.device for row in rows if row.device})
    if len(hosts) > 1:
        yield f"rows ran on several machines ({', '.join(hosts)}): their speeds do not compare"
    if len(devices) > 1:
        yield f"rows ran on several devices ({', '.join(devices)}): their speeds do not compare"


def _runs(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        if row.speed and (row.speed.runs > 1 or row.speed.rows < row.rows["rows"]):
            yield (
                f"{row.name}: its speed is of {row.speed.rows:,} of {row.rows['rows']:,} rows in "
                f"{row.speed.runs} runs, as it was interrupted"
            )


def _unlike_rows(rows: Sequence[Row]) -> Iterator[str]:
    counts = {row.name: row.rows["ok"] for row in rows if row.quality}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        yield f"quality is of each row's own ok middles, which are not as many in all: {told}"


def _dummies(rows: Sequence[Row]) -> Iterator[str]:
    names = [row.name for row in rows if row.weights == "dummy"]
    if names:
        yield (
            f"{', '.join(names)}: dummy weights, so no quality; middles seldom end by themselves, "
            "so that a row makes more tokens than with weights"
        )
