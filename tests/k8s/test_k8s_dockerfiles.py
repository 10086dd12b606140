"""The images, as far as they can be looked at without building them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
DOCKERFILES = sorted((ROOT / "k8s").glob("Dockerfile.*"))
images = pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)


def instructions(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (name, " ".join(rest.split()))
        for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line)
    ]


def of(path: Path, wanted: str) -> list[str]:
    return [rest for name, rest in instructions(path) if name == wanted]


@images
def test_only_known_instructions_on_a_pinned_base(path: Path) -> None:
    names = {name for name, _ in instructions(path)}
    assert names == {"FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "CMD"}
    (base,) = of(path, "FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", base)


@images
def test_what_runs_is_no_root_but_the_user_of_the_pods(path: Path) -> None:
    assert of(path, "USER") == ["1000:1000"]
    assert "useradd --uid 1000 " in of(path, "RUN")[0]
    rayjob = (ROOT / "k8s" / "base" / "rayjob.yaml").read_text()
    assert set(re.findall(r"runAs(?:User|Group): (\d+)", rayjob)) == {"1000"}


@images
def test_packages_are_the_pinned_ones_and_nothing_is_left_behind(path: Path) -> None:
    pips = re.findall(r"pip install (.*?)(?: &&|$)", "\n".join(of(path, "RUN")), re.MULTILINE)
    assert pips
    for arguments in pips:
        assert {"--no-cache-dir", "--no-deps"} <= set(arguments.split())
        assert " -r requirements/" in arguments or arguments.endswith(" --no-build-isolation .")
    (apt,) = (run for run in of(path, "RUN") if "apt-get" in run)
    assert "--no-install-recommends" in apt
    assert "rm -rf /var/lib/apt/lists/*" in apt


@images
def test_kuberay_finds_what_it_calls(path: Path) -> None:
    """`ray` starts the pods, wget asks for their health, bash runs both."""
    assert " wget " in of(path, "RUN")[0]
    assert of(path, "RUN")[-1].startswith("ray --version &&")
    for name in re.findall(r"requirements/\w+\.txt", " ".join(of(path, "RUN"))):
        if "torch" not in name:
            assert re.search(r"^ray==", (ROOT / name).read_text(), re.MULTILINE)


@images
def test_the_packages_are_all_that_the_project_needs(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (name,) = set(re.findall(r"requirements/[cg]pu\.txt", " ".join(of(path, "RUN"))))
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / name).read_text(), re.MULTILINE))
    pins = {package.lower(): version for package, version in pins.items()}
    client = project["optional-dependencies"]["k8s"]
    for needed in map(Requirement, project["dependencies"] + client):
        assert needed.specifier.contains(pins[needed.name.lower()]), needed


@images
def test_what_is_copied_exists_and_is_enough(path: Path, tmp_path: Path) -> None:
    """The package is built of the copied files alone, and its entry points answer."""
    context, site = tmp_path / "app", tmp_path / "site"
    for copied in of(path, "COPY"):
        *sources, target = copied.split()
        for source in sources:
            _copy(ROOT / source, context / target, source)
    install = ["pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    _run([sys.executable, "-m", *install, "--target", str(site), "."], context)
    for module in (
        "batchfim",
        "jobs.infill",
        "jobs.bench",
        "jobs.prefetch",
        "jobs.retry",
        "jobs.submit",
    ):
        _run([sys.executable, "-m", module, "--help"], site)
    assert (site / "batchfim" / "demo" / "model").is_dir()


@images
@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_has_nothing_to_say(path: Path) -> None:
    _run(["hadolint", str(path)], ROOT)


def test_the_context_holds_what_is_copied() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    sources = [source for path in DOCKERFILES for copied in of(path, "COPY")
               for source in copied.split()[:-1]]  # fmt: skip
    assert "*" in ignored
    assert {source.split("/")[0] for source in sources} == let_in


def _copy(source: Path, target: Path, name: str) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target / Path(name).name)


def _run(command: list[str], folder: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
