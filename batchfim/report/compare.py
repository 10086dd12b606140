"""Compare jobs side by side: the figures of their `summary.json` and of their evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from batchfim.accounts.summing import summary_now
from batchfim.quality.writing import is_outdated, read_evaluation
from batchfim.report.figures import figures
from batchfim.storage.ledger import Ledger
from batchfim.terminal import plain_table, printable, table_text

_WIDTH = 160
_HOW = ("rule", "middle", "reference")


def compare_jobs(outputs: Sequence[str]) -> list[dict[str, Any]]:
    """The figures and scores of the jobs at these paths or URLs, in order.

    Returns:
        for each job `output`, `model`, `family`, `order`, `context_tokens` (null if unknown),
        `complete`, the `figures` (key, label, unit, value), the `evaluation`'s overall scores by
        metric, empty if there is none; `evaluated`: the `rule`, the columns `middle` and
        `reference`, and the number of `rows` evaluated, null if there is none;
        `evaluation_outdated`: whether rows were added or changed since.

    Raises:
        OutputError: one of the paths has no job.
        StorageError: a file of a ledger is damaged.
    """
    return [_job(output) for output in outputs]


def _job(output: str) -> dict[str, Any]:
    ledger = Ledger.at(output)
    done, evaluation = ledger.done(), read_evaluation(ledger)
    summary = summary_now(ledger, done)
    model = summary["model"]
    return {
        "output": output,
        "model": model["path"],
        "family": model["family"],
        "order": model["order"],
        "context_tokens": model["max_model_len"],
        "complete": summary["complete"],
        "figures": [vars(figure) | {"text": figure.text} for figure in figures(summary)],
        "evaluation": _scores(evaluation),
        "evaluated": _evaluated(evaluation),
        "evaluation_outdated": evaluation is not None and is_outdated(evaluation, done),
    }


def _evaluated(evaluation: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if evaluation is None:
        return None
    how = {name: evaluation[name] for name in _HOW}
    return how | {"rows": evaluation["overall"]["rows"]}


def _scores(evaluation: Mapping[str, Any] | None) -> dict[str, Any]:
    if evaluation is None:
        return {}
    return {
        metric["label"]: evaluation["overall"][metric["name"]] | {"unit": metric["unit"]}
        for metric in evaluation["metrics"]
        if metric["name"] in evaluation["overall"]
    }


def comparison_text(jobs: Sequence[Mapping[str, Any]]) -> str:
    """A table with one column per job, followed by what makes the jobs hard to compare."""
    table = plain_table("", *(printable(job["output"]) for job in jobs))
    for name in ("model", "family", "order", "context_tokens"):
        table.add_row(name.replace("_", " "), *(printable(str(job[name])) for job in jobs))
    table.add_row("complete", *("yes" if job["complete"] else "no" for job in jobs))
    for figure in zip(*(job["figures"] for job in jobs), strict=True):
        table.add_row(figure[0]["label"], *(of_job["text"] for of_job in figure))
    evaluated = [job["evaluated"] for job in jobs]
    for name in (*_HOW, "rows") if any(evaluated) else ():
        cells = ("-" if one is None else printable(f"{one[name]}") for one in evaluated)
        table.add_row(f"evaluated: {name}", *cells)
    labels = dict.fromkeys(label for job in jobs for label in job["evaluation"])
    for label in labels:
        table.add_row(printable(label), *(_score(job["evaluation"].get(label)) for job in jobs))
    lines = [
        table_text(table, _WIDTH),
        *(
            f"{printable(job['output'])}: rows were added or changed since the evaluation; "
            "evaluate again"
            for job in jobs
            if job["evaluation_outdated"]
        ),
    ]
    if len({(one["rows"], *(one[name] for name in _HOW)) for one in evaluated if one}) > 1:
        lines.append(
            "The evaluations differ in their settings or rows, so the scores are not comparable: "
            "give all jobs the same records, and `batchfim evaluate` the same --rule, --middle and "
            "--reference."
        )
    if len({job["context_tokens"] for job in jobs}) > 1:
        lines.append(
            "The context lengths differ, so long records were truncated differently: to truncate "
            "all alike, set engine.max_model_len to the smallest of them and run again."
        )
    return "\n".join(lines)


def _score(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return "-"
    scale, digits, unit = (100, 1, " %") if score["unit"] == "share" else (1, 3, "")
    value, low, high = (f"{score[name] * scale:.{digits}f}" for name in ("value", "low", "high"))
    return f"{value}{unit} ({low} to {high})"
