"""The documents' figures are those of the kept results, and every missed limit is marked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf8")
TABLES = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf8")
RESULTS = ROOT / "benchmarks" / "results"
SHARING = "sharing_standard_library"
SHUFFLED = f"{SHARING}_shuffled"
BEYOND = "seconds_beyond_the_engine"
CACHES = {"cache 1/10": "cache tenth", "cache 1/100": "cache hundredth"}
HOLES = "ten holes in each of 120 files"
MULTI_LINE = "first 1,500 records of HumanEval-Infilling MultiLine"
COMPUTED = "prompt tokens computed ÷ the fewest possible"
REGROUPED = "prompt tokens computed with `planning.regroup` ÷ the fewest possible"
FASTER = "records/s with `planning.regroup` ÷"
ON_IDS = "records/s ÷ `LLM.generate` on token ids: no shared prefixes, engine"
ON_TEXTS = "records/s ÷ `LLM.generate` from Parquet to Parquet: no shared prefixes, engine"
LOST_ROWS = "rows lost, doubled, changed or misplaced by"
MEMORY = "a worker's memory without its engine, on"
RESUMING = "resuming a job with 999,000 of 1,000,000 shards done"
REPORT = "`report.html` of 1,000,000 shards"
STARTUP = "time to the first record on"
DRIVER = "for a driver of 1,000 simulated workers"


def found(name: str, *path: str) -> Any:
    value = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf8"))
    for key in path:
        value = value[key]
    return value


def row(start: str, end: str = "") -> str:
    """The figure of the row in the tables whose first cell starts and ends this way."""
    rows = (line.split("|") for line in TABLES.splitlines() if line.startswith(f"| {start}"))
    (figure,) = (cells[2].strip() for cells in rows if cells[1].rstrip().endswith(end))
    return figure


@pytest.mark.parametrize(
    ("start", "end", "name", "path", "form"),
    [
        (f"{LOST_ROWS} 200", "", "chaos", ["lost"], "{}"),
        (f"{LOST_ROWS} 200", "", "chaos", ["doubled"], "{}"),
        (f"{LOST_ROWS} 20 ", "", "chaos_vllm", ["lost"], "{}"),
        (f"{LOST_ROWS} 20 ", "", "chaos_vllm", ["doubled"], "{}"),
        (f"{MEMORY} a 5 GB", "", "memory", ["mostly_riding_along", "peak_rss_mb"], "{} MB"),
        (f"{MEMORY} 0.2 GB", "", "memory", ["all_text", "peak_rss_mb"], "{} MB"),
        (RESUMING, "time", "ledger", ["total_s"], "{:.1f} s"),
        (RESUMING, "memory", "ledger", ["peak_rss_mb"], "{:,} MB"),
        (REPORT, "time", "report", ["seconds", "found"], "{:.0f} s"),
        (REPORT, "memory", "report", ["peak_rss_mb"], "{:,} MB"),
        (f"makespan ÷ the ideal, {DRIVER}", "", "scaling", ["makespan", "ratio"], "{}"),
        (
            f"CPU time per shard, {DRIVER}",
            "",
            "scaling",
            ["driver_cpu_us_per_shard", "ratio"],
            "{:.1f} us",
        ),
        (f"memory, {DRIVER}", "", "scaling", ["peak_memory_mb", "ratio"], "{} MB"),
        ("tokens kept", "", "decode", ["limits", "line: kept over decoded", "ratio"], "{:.2f}"),
        ("encoding alone", "", "encoding", ["ratio"], "{:.2f}"),
        (f"{STARTUP} the local pool", "", "startup", [BEYOND, "local", "ratio"], "{:.1f} s"),
        (f"{STARTUP} a running", "", "startup", [BEYOND, "running_ray", "ratio"], "{:.1f} s"),
        (f"{STARTUP} a Ray", "", "startup", [BEYOND, "ray", "ratio"], "{:.1f} s, **missed**"),
        ("start time", "", "startup", ["second_engine_over_first", "ratio"], "{:.2f} ("),
    ],
)
def test_a_figure_is_the_results(
    start: str, end: str, name: str, path: list[str], form: str
) -> None:
    assert row(start, end).startswith(form.format(found(name, *path)))


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize(
    ("start", "name", "key"),
    [
        (f"{COMPUTED}: {HOLES}", SHARING, "file order: computed over bound"),
        (f"{REGROUPED}: {HOLES}", SHARING, "shuffled and regrouped: computed over bound"),
        (f"{COMPUTED}: {MULTI_LINE}", "sharing_multi_line", "file order: computed over bound"),
        (
            f"{REGROUPED}: {MULTI_LINE}",
            "sharing_multi_line",
            "shuffled and regrouped: computed over bound",
        ),
        (f"{FASTER} `LLM.generate`", SHUFFLED, "shuffled: regrouped over llm_generate"),
        (f"{FASTER} Ray Data LLM at its", SHUFFLED, "shuffled: regrouped over ray_default"),
        (f"{FASTER} Ray Data LLM at the", SHUFFLED, "shuffled: regrouped over ray_tuned"),
    ],
)
def test_sharing(start: str, name: str, key: str, cache: str) -> None:
    judged = found(name, "limits", f"{CACHES[cache]}, {key}")
    figure = row(start, cache)
    assert figure.startswith(f"{judged['ratio']:.2f}")
    assert ("missed" in figure) is (not judged["holds"] or "later" in figure)


@pytest.mark.parametrize(
    ("start", "end", "name", "peer"),
    [
        (f"{ON_IDS} alone", "", "overhead_reserved_core", "llm_generate"),
        (f"{ON_TEXTS} alone", "", "overhead_reserved_core", "llm_generate_on_texts"),
        (f"{ON_IDS} and", "two cores", "overhead", "llm_generate"),
        (f"{ON_TEXTS} and", "two cores", "overhead", "llm_generate_on_texts"),
        (f"{ON_IDS} and", "slower machine", "overhead_avx2", "llm_generate"),
        (f"{ON_TEXTS} and", "slower machine", "overhead_avx2", "llm_generate_on_texts"),
    ],
)
def test_overhead(start: str, end: str, name: str, peer: str) -> None:
    judged = found(name, "records_per_s_over", peer)
    low, high = judged["interval"]
    figure = row(start, end)
    assert figure.startswith(f"{judged['ratio']:.2f} ({low:.2f} to {high:.2f})")
    assert ("missed" in figure) is not judged["holds"]


def test_the_readmes_are_among_them() -> None:
    """The README's table is a selection of those rows."""
    (table,) = re.findall(r"\n## Results\n(.*?)\n## ", README, re.DOTALL)
    chosen = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(chosen) >= 8
    assert [line for line in chosen if line not in TABLES.splitlines()] == []
