"""The documents' figures are those of the kept results, and a missed limit is said to be one."""

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
NOTHING_SHARED = "nothing shared, over `LLM.generate` on ids"
ON_TEXTS = "likewise, over `LLM.generate` from Parquet to Parquet"
TENTH, HUNDREDTH = "cache tenth, ", "cache hundredth, "


def found(name: str, *path: str) -> Any:
    value = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf8"))
    for key in path:
        value = value[key]
    return value


def row(start: str) -> str:
    """The figure of the row of the table that begins so."""
    (line,) = (line for line in TABLES.splitlines() if line.startswith(f"| {start}"))
    return line.split("|")[2]


@pytest.mark.parametrize(
    ("start", "name", "path", "form"),
    [
        ("a worker's memory", "memory", ["mostly_riding_along", "peak_rss_mb"], "{} MB;"),
        ("bookkeeping of a run", "ledger", ["total_s"], "{:.1f} s"),
        ("bookkeeping of a run", "ledger", ["peak_rss_mb"], "{:,} MB"),
        ("`report.html` of 1,0", "report", ["seconds", "found"], "{:.0f} s"),
        ("`report.html` of 1,0", "report", ["peak_rss_mb"], "{:,} MB"),
        ("driver of 1,000", "scaling", ["makespan", "ratio"], "{}"),
        ("its CPU a shard", "scaling", ["driver_cpu_us_per_shard", "ratio"], "{:.1f} us;"),
        ("its CPU a shard", "scaling", ["peak_memory_mb", "ratio"], "; {} MB"),
        ("line holes, `stop", "decode", ["limits", "line: kept over decoded", "ratio"], "{:.2f}"),
        ("on the local pool", "startup", [BEYOND, "local", "ratio"], " {:.1f} "),
        ("on a Ray of its own", "startup", [BEYOND, "ray", "ratio"], " {:.1f}, **missed** "),
        ("on a Ray that runs", "startup", [BEYOND, "running_ray", "ratio"], " {:.1f} "),
        ("start of a job's second", "startup", ["second_engine_over_first", "ratio"], "{:.2f}"),
        ("encoding alone", "encoding", ["ratio"], "{:.2f}"),
        ("rows lost, doubled", "chaos", ["lost"], " {} "),
        ("rows lost, doubled", "chaos", ["doubled"], " {} "),
        ("rows lost, doubled", "chaos_vllm", ["lost"], " {} "),
        ("rows lost, doubled", "chaos_vllm", ["doubled"], " {} "),
    ],
)
def test_a_figure_is_the_results(start: str, name: str, path: list[str], form: str) -> None:
    assert form.format(found(name, *path)) in row(start)


@pytest.mark.parametrize(
    ("start", "name", "key"),
    [
        ("ten holes in each of 120 files, in", SHARING, "file order: computed over bound"),
        ("those holes shuffled", SHARING, "shuffled and regrouped: computed over bound"),
        (
            "ten holes in each of 120 files, shuffled",
            SHUFFLED,
            "shuffled: regrouped over llm_generate",
        ),
        ("those, over Ray Data LLM at its", SHUFFLED, "shuffled: regrouped over ray_default"),
        ("those, over Ray Data LLM at the best", SHUFFLED, "shuffled: regrouped over ray_tuned"),
    ],
)
def test_sharing(start: str, name: str, key: str) -> None:
    both = [found(name, "limits", f"{cache}{key}") for cache in (TENTH, HUNDREDTH)]
    tenth, hundredth = (f"{one['ratio']:.2f}" for one in both)
    assert row(start).strip().startswith(f"{tenth} ({hundredth})")
    assert ("missed" in row(start)) is not all(one["holds"] for one in both)


def test_sharing_of_multi_line() -> None:
    told = row("HumanEval-Infilling MultiLine").strip().split("; ")
    for figure, order in zip(told, ("file order", "shuffled and regrouped"), strict=True):
        key = f"{order}: computed over bound"
        both = [
            found("sharing_multi_line", "limits", f"{cache}{key}") for cache in (TENTH, HUNDREDTH)
        ]
        tenth, hundredth = (f"{one['ratio']:.2f}" for one in both)
        assert figure == f"{tenth} ({hundredth})"
        assert all(one["holds"] for one in both)


@pytest.mark.parametrize(
    ("start", "name", "peer"),
    [
        (f"{NOTHING_SHARED}, the engine", "overhead_reserved_core", "llm_generate"),
        (f"{ON_TEXTS} |", "overhead_reserved_core", "llm_generate_on_texts"),
        (f"{NOTHING_SHARED}, engine and", "overhead", "llm_generate"),
        (f"{ON_TEXTS}, on", "overhead", "llm_generate_on_texts"),
    ],
)
def test_overhead(start: str, name: str, peer: str) -> None:
    judged = found(name, "records_per_s_over", peer)
    low, high = judged["interval"]
    assert row(start).strip().startswith(f"{judged['ratio']:.2f} ({low:.2f} to {high:.2f})")
    assert ("missed" in row(start)) is not judged["holds"]


@pytest.mark.parametrize(
    ("start", "peer"),
    [(f"{NOTHING_SHARED}, engine", "llm_generate"), (f"{ON_TEXTS}, on", "llm_generate_on_texts")],
)
def test_overhead_on_the_other_machine(start: str, peer: str) -> None:
    judged = found("overhead_avx2", "records_per_s_over", peer)
    low, high = judged["interval"]
    assert row(start).strip().endswith(f"† {judged['ratio']:.2f} ({low:.2f} to {high:.2f})")


def test_the_readmes_are_among_them() -> None:
    """Its table is a choice of those rows, in other words."""
    (table,) = re.findall(r"\n## Results\n(.*?)\n## ", README, re.DOTALL)
    chosen = [line.split("|")[2:4] for line in table.splitlines() if line.startswith("| ")][1:]
    known = [line.split("|")[2:4] for line in TABLES.splitlines() if line.startswith("| ")]
    assert len(chosen) >= 8
    assert [one for one in chosen if one not in known] == []
