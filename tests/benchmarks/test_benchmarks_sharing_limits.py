"""How the sharing benchmark's figures are judged."""

from __future__ import annotations

from benchmarks.sharing_limits import judge

THERE = "cache tenth, shuffled"


def test_a_tuned_peer_is_the_fastest_of_its_grid() -> None:
    cells = {
        f"{THERE}, batchfim_regrouped": {"records_per_s": 30.0},
        f"{THERE}, ray_default": {"records_per_s": 10.0},
        f"{THERE}, ray_64x8": {"records_per_s": 25.0},
    }
    limits = judge("standard_library", cells)
    assert limits[f"{THERE}: regrouped over ray_default"]["ratio"] == 3.0
    assert limits[f"{THERE}: regrouped over ray_default"]["holds"]
    assert limits[f"{THERE}: regrouped over ray_tuned"]["ratio"] == 1.2
    assert not limits[f"{THERE}: regrouped over ray_tuned"]["holds"]


def test_a_peer_that_was_not_tuned_is_not_measured_tuned() -> None:
    cells = {
        f"{THERE}, batchfim_regrouped": {"records_per_s": 30.0},
        f"{THERE}, ray_default": {"records_per_s": 10.0},
    }
    limits = judge("standard_library", cells)
    assert limits[f"{THERE}: regrouped over ray_tuned"]["ratio"] == "not measured"


def test_what_was_not_run_is_not_measured_and_its_limit_still_shown() -> None:
    limits = judge("standard_library", {})
    assert {limit["ratio"] for limit in limits.values()} == {"not measured"}
    assert limits[f"{THERE}: regrouped over llm_generate"]["limit"] == "at least 1.5"


def test_computed_tokens_are_held_to_a_looser_limit_with_the_smaller_cache() -> None:
    cells = {
        f"cache {cache}, file, batchfim": {"over_bound": 1.05} for cache in ("tenth", "hundredth")
    }
    held = {
        cache: judge("standard_library", cells)[f"cache {cache}, file order: computed over bound"]
        for cache in ("tenth", "hundredth")
    }
    assert not held["tenth"]["holds"]
    assert held["hundredth"]["holds"]


def test_speeds_have_limits_on_the_standard_library_only() -> None:
    assert not any("over llm_generate" in limit for limit in judge("multi_line", {}))
