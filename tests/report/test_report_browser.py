"""The report in a real browser, off the network: all is there, and no record does anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.browsing import View, browser, view
from tests.report.conftest import ReportedJob, write_records

__all__ = ["browser", "view"]
SECTIONS = [
    "figures",
    "timelines",
    "distributions",
    "time",
    "runs",
    "endings",
    "errors",
    "slowest",
    "records",
    "config",
]
CHARTS = [
    "throughput",
    "in-flight",
    "cache",
    "ttft_s",
    "tpot_s",
    "latency_s",
    "prompt_tokens",
    "completion_tokens",
    "time-use",
]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a job of hostile records, by two workers."""
    folder = tmp_path_factory.mktemp("job")
    job = ReportedJob(folder / "records", folder / "out <b>")
    write_records(job)
    job.run("schedule.workers=2", "infill.trim=[suffix_overlap]")
    return job.ledger / "report.html"


def test_every_part_is_there_and_nothing_is_fetched(view: View, report: Path) -> None:
    view.open(report)
    for section in SECTIONS:
        assert view.page.locator(f"section#{section}").count() == 1, section
    for chart in CHARTS:
        view.page.wait_for_selector(f"#chart-{chart} canvas", state="attached")
        assert view.page.locator(f"#chart-{chart}").bounding_box()["height"] > 100, chart
    assert view.page.locator("details.record mark.middle").count() > 20
    assert view.asked == [report.as_uri()]
    assert view.complaints == []


def test_no_record_does_anything(view: View, report: Path) -> None:
    view.open(report)
    view.page.click("#open-all")
    view.page.evaluate(
        """for (const node of document.querySelectorAll("body *"))
             for (const name of ["mouseover", "error", "load", "click"])
               if (name !== "click" || !node.closest("nav, summary, button"))
                 node.dispatchEvent(new Event(name))"""
    )
    assert view.page.evaluate("window.hacked") is None
    own = (
        "[onmouseover], [onerror], [onload], svg[onload], img, iframe, main b + script:not([type])"
    )
    assert view.page.locator(f"main :is({own})").count() == 0
    assert view.page.locator("body > script").count() == 2
    assert "<script>window.hacked = 1</script>" in view.page.inner_text("#sample")
    assert view.page.locator(".unseen", has_text="\\u202e").count() > 0
    assert "\u202e" not in view.page.content()
    assert view.complaints == []


def test_what_slipped_through_would_not_run_either(
    view: View, report: Path, tmp_path: Path
) -> None:
    text = report.read_text(encoding="utf8")
    slip = (
        "<main><script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"
        "<svg onload='window.hacked = 1'></svg><img src='https://example.invalid/x.png'>"
    )
    assert "<main>" in text
    worse = tmp_path / "worse.html"
    worse.write_text(text.replace("<main>", slip, 1), encoding="utf8")
    view.open(worse)
    assert view.page.evaluate("window.hacked") is None
    assert view.got == [worse.as_uri()]
    assert len(view.complaints) >= 4  # what the policy refused, each


def test_tables_sort_and_records_can_be_chosen(view: View, report: Path) -> None:
    view.open(report)
    cells = view.page.locator("#slowest tbody td:nth-child(2)")

    def latencies() -> list[float]:
        return [float(text) for text in cells.all_inner_texts()]

    head = view.page.locator("#slowest th").nth(1)
    head.click()
    assert latencies() == sorted(latencies(), reverse=True)
    head.click()
    assert latencies() == sorted(latencies())
    assert head.get_attribute("aria-sort") == "ascending"

    view.page.select_option("#verdict", "rejected")
    seen = view.page.locator("#sample details:visible")
    assert seen.count() == view.page.locator("#sample details[data-verdict=rejected]").count() > 0
    assert f"{seen.count()} shown" in view.page.inner_text("#shown-count")


def test_text_stands_out_in_light_and_in_dark(view: View, report: Path) -> None:
    view.open(report)
    colors = view.page.evaluate(
        """() => {
          const style = getComputedStyle(document.body);
          const root = getComputedStyle(document.documentElement);
          const canvas = document.createElement("canvas").getContext("2d");
          const parsed = (color) => {
            canvas.fillStyle = color;
            const n = parseInt(canvas.fillStyle.slice(1), 16);
            return [n >> 16, (n >> 8) & 255, n & 255];
          };
          const axis = root.getPropertyValue("--quiet").trim();
          return [style.backgroundColor, style.color, axis].map(parsed);
        }"""
    )
    page, text, axis = map(_luminance, colors)
    assert _contrast(page, text) > 7
    assert _contrast(page, axis) > 4.5


def _luminance(color: list[int]) -> float:
    """Relative luminance as WCAG 2 has it."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
