"""Engine arguments that have a setting of their own, credentials, and lists of one."""

from __future__ import annotations

import json

import pytest

from batchfim.config import JobConfig
from batchfim.config.engine import OWNED_ENGINE_ARGS
from batchfim.config.files import load_config
from batchfim.errors import ConfigError
from batchfim.storage.location import Location

FLAGS = {"input.paths": ["a"], "output.path": "b", "model.path": "demo"}
SECRETS = ["hf_token", "token", "api_key", "client_secret", "Password", "secret_name"]
WITH_SECRETS = [
    "s3://AKIAKEY:hunter2@bucket/records",
    "s3://AKIAKEY:hunter%2F2@bucket",
    "abfss://:hunter2@account.blob.core.windows.net/container",
]
WITHOUT = [
    "s3://bucket/a@b:c/records",
    "abfss://container@account.dfs.core.windows.net/records",
    "hdfs://user@namenode:8020/records",
    "folder/a:b@c",
]


def config(*sets: str, **flags: object) -> JobConfig:
    return load_config(None, FLAGS | flags, sets)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("model", "model.path"),
        ("tokenizer", "model.path"),
        ("revision", "model.revision"),
        ("trust_remote_code", "model.trust_remote_code"),
        ("max_model_len", "engine.max_model_len"),
        ("kv_cache_memory_bytes", "engine.kv_cache_gib"),
        ("generation_config", "section sampling"),
        ("skip_tokenizer_init", "prompts are encoded outside"),
        ("disable_log_stats", "timings of each record"),
    ],
)
def test_an_argument_with_a_setting_of_its_own_names_it(name: str, setting: str) -> None:
    assert name in OWNED_ENGINE_ARGS
    with pytest.raises(ConfigError, match=rf"engine: args\.{name} is not .* here: .*{setting}"):
        config(f"engine.args.{name}=1")


def test_every_setting_they_name_exists() -> None:
    known = config()
    for instead in OWNED_ENGINE_ARGS.values():
        if instead.startswith("use "):
            section, key = instead.removeprefix("use ").split(".")
            assert key in type(getattr(known, section)).model_fields


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_hidden_and_decides_no_record(name: str) -> None:
    secret = config(f"engine.args.{name}=hunter2", "engine.args.dtype=float16")
    shown = secret.public_dump()
    assert "hunter2" not in json.dumps(shown)
    assert shown["engine"]["args"] == {name: "(hidden)", "dtype": "float16"}
    assert secret.fingerprint_fields() == config("engine.args.dtype=float16").fingerprint_fields()
    assert secret.engine.args[name] == "hunter2"  # the engine itself gets it


def test_what_is_no_secret_is_shown() -> None:
    shown = config("engine.args.max_num_batched_tokens=4096").public_dump()
    assert shown["engine"]["args"] == {"max_num_batched_tokens": 4096}


@pytest.mark.parametrize("url", WITH_SECRETS)
@pytest.mark.parametrize("key", ["input.paths", "output.path", "model.path"])
def test_credentials_in_a_url_are_refused_and_not_repeated(key: str, url: str) -> None:
    value = [url] if key == "input.paths" else url
    with pytest.raises(
        ConfigError, match=rf"{key}.*provide them through the environment"
    ) as caught:
        config(**{key: value})
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize("url", WITHOUT)
def test_a_name_before_an_at_sign_is_no_secret(url: str) -> None:
    assert config(**{"input.paths": url}).input.paths == (url,)


def test_a_container_of_azure_can_be_meant() -> None:
    assert Location.of(WITHOUT[1]).path == "container/records"


def test_one_path_or_column_needs_no_list() -> None:
    found = config("input.paths=records/*.parquet", "input.keep=id").input
    assert (found.paths, found.keep) == (("records/*.parquet",), ("id",))
    assert config("input.keep=id") == config("input.keep=[id]")
    with pytest.raises(ConfigError, match=r"input\.paths: expected a list, got 7"):
        config("input.paths=7")


def test_workers_are_the_replicas() -> None:
    with pytest.raises(ConfigError, match=r"engine: args\.data_parallel_size .* schedule\.workers"):
        config("engine.args.data_parallel_size=2")
    assert config("engine.args.data_parallel_size=1")
    sharded = config("engine.args.tensor_parallel_size=4", "engine.args.pipeline_parallel_size=2")
    assert sharded.engine.num_devices == 8
    over_context = config("engine.args.prefill_context_parallel_size=2")
    assert over_context.engine.num_devices == 2


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (["engine.args.tensor_parallel_size=1"], "makes 1 parts of the model"),
        (["engine.args.tensor_parallel_size=4", "resources.num_gpus=4"], "no resources.num_gpus"),
        (["engine.args.tensor_parallel_size=2", "schedule.pool=local"], "needs schedule.pool ray"),
        (
            ["engine.args.tensor_parallel_size=2", "engine.args.distributed_executor_backend=mp"],
            "distributed_executor_backend is mp: leave it unset",
        ),
    ],
)
def test_parts_on_several_machines_that_could_not_be_placed(sets: list[str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        config("resources.nodes_per_worker=2", *sets)


def test_vllms_ray_executor_is_chosen_by_the_number_of_machines() -> None:
    with pytest.raises(ConfigError, match=r"backend is ray: .* resources\.nodes_per_worker"):
        config("engine.args.distributed_executor_backend=ray")
    assert config("engine.args.distributed_executor_backend=mp")


@pytest.mark.parametrize("setting", ["model.loras={a: b}", "input.columns.lora=which"])
def test_names_of_adapters_need_both_a_column_and_a_map(setting: str) -> None:
    with pytest.raises(ConfigError, match="set both"):
        config(setting)
