"""Whatever a job file holds: a config that can be stored and shown, or a ConfigError."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import ConfigError
from tests.fuzz.damage import Damage, damages
from tests.fuzz.effort import examples

JOB = b"""
input: {paths: [records/], columns: {prefix: before, suffix: after, context: files}, keep: [id]}
output: {path: out/, compression: zstd}
model: {path: demo, family: starcoder2, revision: main, trust_remote_code: false}
engine:
  backend: simulated
  kv_cache_gib: 1.5
  args: {dtype: float16, max_num_seqs: 8, hf_overrides: {rope: [1, 2.5, null, true, text]}}
infill:
  truncation: {enabled: true, prefix_share: 0.75}
  stop: [eot, line]
  trim: [suffix_overlap, line]
sampling: {max_tokens: 48, temperature: 0.2, n: 2, seed: 7}
schedule: {pool: local, workers: 2, shard_rows: 16}
resources: {num_cpus: 1, ray_address: "127.0.0.1:6379"}
metrics: {progress: none, progress_interval_s: 10}
"""
FORMAT = b"""
input: {paths: x}
output: {path: y}
model: {path: z}
infill:
  format: {layouts: {psm: ["<PRE>", "{prefix}", {text: "{path}"}]}, order: psm, stops: ["<EOT>"]}
"""
SMALLEST = "input: {{paths: a}}\noutput: {{path: b}}\nmodel: {{path: c}}\n"
ARGS = SMALLEST + "engine:\n  args:\n    x: {}"
SEED = SMALLEST + "sampling:\n  seed: {}"
PATH = "input: {{paths: a}}\noutput: {{path: b}}\nmodel:\n  path: {}"
HOSTILE = [
    "\x00",
    "!!python/object/apply:os.system ['true']",
    "!!python/name:os.system",
    "!!bool maybe",
    "!!timestamp soon",
    "!!int ''",
    "!!float ''",
    "!!binary '///'",
    "2001-99-99",
    "0001-01-01T00:00:00+23:59",
    ".nan",
    ".inf",
    "1e999",
    "1" * 5000,
    "0x" + "f" * 5000,
    "0b_",
    "1:" + "59:" * 400 + "1.5",
    "[" * 3000,
    "{a: " * 3000,
    "- " * 3000 + "x",
    "[" * 200 + "]" * 200,
    "&a [*a]",
    "{<<: 3}",
    "? [a, b]\n: c",
    "{1: a, b: c, null: d}",
    "'\\ud800'",
    '"\\ud800"',
    '"\\0"',
    '"a\\e[31mb"',
    "&a {x: &b [*b, *b]}",
]


def check(path: Path) -> JobConfig | None:
    """Load a job file; what comes back is fit for the ledger and for `batchfim config`."""
    try:
        config = load_config(path)
    except ConfigError:
        return None
    json.dumps(config.fingerprint_fields(), sort_keys=True, default=str).encode()
    yaml.safe_dump(config.model_dump(mode="json")).encode()
    json.dumps(config.public_dump()).encode()
    return config


@pytest.fixture(scope="module")
def job_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "job.yaml"


def schema_keys() -> dict[str, list[str]]:
    """The config's own keys, section by section."""
    return {
        name: list(getattr(field.annotation, "model_fields", {}))
        for name, field in JobConfig.model_fields.items()
    }


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(2**63), 2**31])
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.dates()
    | st.datetimes()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8) | st.integers() | st.none(), inner, max_size=4)
    ),
    max_leaves=10,
)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """A valid job with some of the config's own keys set to anything."""
    tree: dict[str, Any] = yaml.safe_load(JOB)
    for _ in range(draw(st.integers(1, 4))):
        section, keys = draw(st.sampled_from(list(schema_keys().items())))
        if draw(st.booleans()) and isinstance(tree.get(section), dict):
            tree[section][draw(st.sampled_from(keys))] = draw(VALUES)
        else:
            tree[section] = draw(VALUES)
    return tree


@examples(300)
@given(st.sampled_from([JOB, FORMAT]), st.lists(damages(), min_size=1, max_size=3))
def test_damaged_text_is_a_config_or_a_config_error(
    job_file: Path, text: bytes, damage: list[Damage]
) -> None:
    for one in damage:
        text = one(text)
    job_file.write_bytes(text)
    check(job_file)


@examples(150)
@given(trees())
@example({"input": {"paths": ["a"]}, "output": {"path": "b"}, "model": {"path": "c\0d"}})
def test_any_value_under_any_key_is_a_config_or_a_config_error(
    job_file: Path, tree: dict[str, Any]
) -> None:
    job_file.write_text(yaml.dump(tree, allow_unicode=True), "utf8", "surrogatepass")
    check(job_file)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("text", ["{}", ARGS, SEED, PATH])
def test_hostile_yaml_is_a_config_or_a_config_error(job_file: Path, text: str, value: str) -> None:
    job_file.write_text(text.format(value))
    check(job_file)


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("key", ["engine.args.x", "model.path", "input.paths", "sampling", "a.b"])
def test_hostile_overrides_are_a_config_or_a_config_error(key: str, value: str) -> None:
    flags = {"input.paths": ["a"], "output.path": "b", "model.path": "c"}
    with contextlib.suppress(ConfigError):
        load_config(None, flags, [f"{key}={value}"])
