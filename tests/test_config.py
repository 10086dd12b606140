"""Job files, flags and overrides: one config, frozen, with no key that nobody knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import ConfigError

JOB = """
input:
  paths: [records/]
output: {path: out}
model: {path: demo}
sampling: {max_tokens: 64}
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(JOB)
    return path


def test_later_sources_win(job: Path) -> None:
    assert load_config(job).sampling.max_tokens == 64
    flags = {"sampling.max_tokens": 32, "model.path": None, "output.path": "flag"}
    config = load_config(job, flags, ["sampling.max_tokens=16", "sampling.top_k=5"])
    assert (config.sampling.max_tokens, config.sampling.top_k) == (16, 5)
    assert (config.output.path, config.model.path) == ("flag", "demo")


def test_flags_alone_are_a_job() -> None:
    flags = {"input.paths": ["a"], "output.path": "b", "model.path": "demo"}
    assert load_config(None, flags).input.paths == ("a",)
    with pytest.raises(ConfigError, match=r"the command line: .*output\.path: required"):
        load_config(None, flags | {"output.path": None, "output.compression": "none"})


@pytest.mark.parametrize(
    ("text", "section", "value"),
    [
        ("sampling.temperature=0.5", "sampling.temperature", 0.5),
        ("infill.truncation.enabled=false", "infill.truncation.enabled", False),
        ("engine.max_model_len=null", "engine.max_model_len", None),
        ("input.keep=[id, language]", "input.keep", ("id", "language")),
        ("input.paths=['a=b.parquet']", "input.paths", ("a=b.parquet",)),
        ("engine.args={max_num_seqs: 8}", "engine.args", {"max_num_seqs": 8}),
        ("engine.args.max_num_seqs=8", "engine.args", {"max_num_seqs": 8}),
        ("engine.simulated.die_if_contains='1'", "engine.simulated.die_if_contains", "1"),
    ],
)
def test_overrides_are_yaml_and_keep_their_types(
    job: Path, text: str, section: str, value: Any
) -> None:
    found: Any = load_config(job, sets=[text])
    for part in section.split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("sampling.max_token=1", r"sampling\.max_token: unknown key; did you mean 'max_tokens'\?"),
        ("sampling.stop=[x]", r"sampling\.stop: unknown key; did you mean 'infill\.stop'\?"),
        ("engine.revision=main", r"revision: unknown key; did you mean 'model\.revision'\?"),
        ("input.path=a", r"input\.path: unknown key; did you mean 'paths'\?"),
        ("smpling.top_k=1", "smpling: unknown key; did you mean 'sampling'"),
        ("sampling.max_tokens=yes", r"sampling\.max_tokens: expected a number, got true"),
        ("resources.num_gpus=no", r"resources\.num_gpus: expected a number, got false"),
        ("input.keep=[id, x, id]", "the column 'id' is named twice"),
        ("input.columns.prefix=suffix", "prefix and suffix are both 'suffix'"),
        ("infill.truncation.enabld=1", "enabld: unknown key; did you mean 'enabled'"),
        ("output.zzz=1", "zzz: unknown key; known keys: path, compression"),
        ("infill.format.stpos=[x]", r"infill\.format\.stpos: unknown key; did you mean 'stops'"),
        ("sampling.max_tokens=many", r"sampling\.max_tokens: Input should be a valid integer"),
        ("sampling.max_tokens=0", r"sampling\.max_tokens: Input should be greater than 0"),
        ("sampling.n=2", "sampling: .*temperature > 0"),
        ("output.path.deep=1", r"output\.path\.deep: path is 'out', not a section"),
        ("no equals sign", r"--set 'no equals sign': expected section\.key=value"),
        ("=1", r"--set '=1': expected"),
        ("input.keep=[a", r"--set 'input\.keep=\[a': the value is invalid YAML"),
        ("input.paths=[]", r"input\.paths: .*at least 1"),
        ("infill.stop=[line]", r"infill: infill\.stop must hold eot"),
        ("infill.stop=[eot, line, line]", r"infill: infill\.stop names a rule twice"),
        ("infill.trim=[syntax, syntax]", r"infill: infill\.trim names a rule twice"),
        ("infill.stop=[eot, lines]", r"infill\.stop\.1: Input should be 'eot', 'line', 'block'"),
        ("infill.trim=[block]", r"infill\.trim\.0: Input should be 'suffix_overlap', 'line'"),
        ("infill.trim=line", r"infill\.trim: expected a list, got 'line'"),
    ],
)
def test_complaints_name_the_key(job: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config(job, sets=[text])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"input: [", "invalid YAML"),
        (b"- a\n- b\n", r"expected sections such as `input:`, got list"),
        (b"\xff\xfe\xfa", "cannot be read as a job file"),
        (b"a: !!python/object/apply:os.getcwd []", "invalid YAML"),
        (b"", r"input: required, but not given \(--input\); output: required, .* \(--output\)"),
        (b"1: 2", "1: "),
    ],
)
def test_a_file_that_is_no_job_is_named(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=complaint) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such job file"):
        load_config(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


def sections(model: BaseModel) -> list[BaseModel]:
    children = [getattr(model, name) for name in type(model).model_fields]
    below = [s for c in children if isinstance(c, BaseModel) for s in sections(c)]
    return [model, *below]


def test_every_section_is_frozen_and_refuses_unknown_keys(job: Path) -> None:
    found = sections(load_config(job))
    assert len(found) == 15
    for section in found:
        name = next(iter(type(section).model_fields))
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, name, None)
        with pytest.raises(ValidationError, match="surely_unknown"):
            type(section).model_validate({"surely_unknown": 1})


def test_schema_and_config_are_json(job: Path) -> None:
    schema = json.loads(json.dumps(JobConfig.model_json_schema()))
    assert set(schema["properties"]) == set(JobConfig.model_fields)
    config = load_config(job)
    assert JobConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("text", "fewest", "most"),
    [("4", 4, 4), ("{max: 8}", 1, 8), ("{min: 2, max: 8}", 2, 8)],
)
def test_workers_are_a_number_or_a_range(job: Path, text: str, fewest: int, most: int) -> None:
    workers = load_config(job, sets=[f"schedule.workers={text}"]).schedule.workers
    assert (workers.min, workers.max) == (fewest, most)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0", "expected a number of workers or {min: …, max: …}, got 0"),
        ("many", "expected a number of workers"),
        ("{min: 4, max: 2}", "max 2 is less than min 4"),
        ("{min: 4}", "schedule.workers.max: required"),
        ("{most: 4}", "did you mean|known keys: min, max"),
    ],
)
def test_workers_that_are_neither(job: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_config(job, sets=[f"schedule.workers={text}"])


def test_a_model_in_more_parts_than_gpus_is_refused(job: Path) -> None:
    sets = ["resources.num_gpus=1", "engine.args.tensor_parallel_size=2"]
    with pytest.raises(ConfigError, match="shards the model over 2 GPUs: leave it unset"):
        load_config(job, sets=sets)
