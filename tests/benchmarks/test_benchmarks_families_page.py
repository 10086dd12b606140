"""A comparison's page in a real browser, off the network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.compare_families import compare
from benchmarks.families.page import page
from benchmarks.families.rows import Row, Speed
from tests.benchmarks.comparing import DEMO, comparison, told
from tests.report.browsing import View, browser, view
from tests.report.conftest import HOSTILE

__all__ = ["browser", "view"]


def rows() -> list[Row]:
    """Each faster and worse than the one before, but for the last, which nobody would choose."""
    speeds = [
        Speed(1, 20, 1.0, 1.0, rate, {"computed": 5.0, "completion": 2.0}) for rate in (1.0, 2, 4)
    ]
    scores = [{"value": value, "low": 0.1, "high": 0.9, "rows": 20} for value in (0.8, 0.6, 0.5)]
    good = [
        Row(name, name, name, "psm", speed=speed, quality={"chrf": score}, fronts=["speed"])
        for name, speed, score in zip(HOSTILE, speeds, scores, strict=False)
    ]
    worse = replace(good[0], name="worse", quality={"chrf": scores[2]}, fronts=[])
    failed = Row(HOSTILE[3], HOSTILE[3], HOSTILE[3], None, state="failed", error=HOSTILE[4])
    return [*good, worse, failed]


def test_the_page_of_a_comparison_opens_and_marks_its_front(
    tmp_path: Path, records: Path, view: View
) -> None:
    gone = {"name": "gone", "path": "/nowhere/<script>window.hacked = 1</script>"}
    compared = comparison(tmp_path, records, DEMO, gone, price_per_gpu_hour=2.0)
    compare(compared, tmp_path / "out")
    view.open(tmp_path / "out" / "comparison.html")
    for row in told(tmp_path / "out").values():
        found = view.page.locator(f"tr[data-row='{row['name']}']")
        assert found.get_attribute("data-front") == " ".join(row["fronts"])
        assert ("speed" in found.inner_text()) == ("speed" in row["fronts"])
    for chart in ("speed", "cost", "records", "tokens"):
        view.page.wait_for_selector(f"#chart-{chart} canvas", state="attached")
    assert "Pareto front" in view.page.inner_text("#plots")
    assert "/nowhere/<script>" in view.page.inner_text(".error")
    assert view.page.evaluate("window.hacked") is None
    assert view.complaints == []


def test_hostile_names_do_nothing(tmp_path: Path, view: View) -> None:
    found = {"metric": "chrf", "records": 20, "notes": [*HOSTILE], "not_measured": [*HOSTILE]}
    found |= {"job": {"input": HOSTILE[1]}, "machine": {"cpu": HOSTILE[0]}, "versions": {}}
    place = tmp_path / "page.html"
    place.write_text(page(found, rows()), encoding="utf8")
    view.open(place)
    assert view.page.locator("tr[data-front=speed]").count() == 3
    assert view.page.locator("main script:not([type]), main img, [onmouseover]").count() == 0
    assert HOSTILE[0] in view.page.inner_text("#comparison")
    assert view.page.evaluate("window.hacked") is None
    assert view.complaints == []
