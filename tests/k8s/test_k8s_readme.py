"""Everything that k8s/README.md names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from k8s.checks.builtin import VERSIONS
from k8s.checks.checking import MEANING, STRUCTURE
from k8s.checks.rendering import K8S, components, overlays

README = (K8S / "README.md").read_text(encoding="utf8")


def section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def test_every_component_and_overlay_is_listed() -> None:
    for folder in [*components(), *overlays()]:
        assert f"`{folder.name}`" in README or f"`{folder.name}/`" in README


def test_ten_traps_each_with_what_rules_it_out() -> None:
    rows = re.findall(
        r"^\| (\d+) \| .+ \| (.+) \|$", section("Known traps, and what rules them out"), re.M
    )
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    named = re.findall(r"checks? `([\w-]+)`(?:, `([\w-]+)`)?", " ".join(rule for _, rule in rows))
    assert {name for pair in named for name in pair if name} <= {*STRUCTURE, *MEANING, "patches"}


def test_the_versions_are_those_that_are_checked() -> None:
    versions = section("Versions")
    ray = re.search(r"^ray==(\S+)$", (K8S.parent / "requirements/cpu.txt").read_text(), re.M)
    assert ray
    assert f"| Ray | {ray[1]} |" in versions
    assert f"| Kubernetes | {VERSIONS[0]} to {VERSIONS[1]} |" in versions


@pytest.mark.parametrize("path", re.findall(r"`((?:tests|k8s)/[\w/.]+)`", README))
def test_what_it_points_to_exists(path: str) -> None:
    assert (Path(K8S.parent) / path).exists()
