"""What goes wrong in a user's first hour: one line that says what, where and what to do; exit 2."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import LOCAL, Cli


@pytest.fixture
def refused(cli: Cli, tmp_path: Path) -> object:
    """The message of a run that must end with exit code 2 and write nothing."""

    def run(source: Path, *more: object, model: str = "demo") -> str:
        output = tmp_path / "refused"
        args = ("--input", source, "--output", output, "--model", model)
        done = cli("run", *args, *LOCAL, *more, code=2)
        assert done.stderr.startswith("error: "), done.stderr
        assert "Traceback" not in done.stderr
        assert not list(output.glob("*.parquet"))
        return done.stderr

    return run


def write(folder: Path, name: str, **columns: list[object]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    pq.write_table(pa.table(columns), path)
    return path


def test_a_missing_column_lists_those_that_exist(tmp_path: Path, refused) -> None:
    path = write(tmp_path, "a.parquet", before=["x"], suffix=["y"])
    message = refused(path)
    assert f"{path}: no column 'prefix'; it has before, suffix" in message
    assert "input.columns.prefix" in message


def test_an_empty_file(tmp_path: Path, refused) -> None:
    path = tmp_path / "a.parquet"
    path.touch()
    assert f"{path}: the file is empty" in refused(path)


def test_a_folder_without_parquet(tmp_path: Path, refused) -> None:
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "notes.txt").write_text("no records")
    assert f"{folder}: no Parquet files found" in refused(folder)


def test_a_path_that_does_not_exist(tmp_path: Path, refused) -> None:
    assert "no such file or folder" in refused(tmp_path / "nowhere")


def test_a_truncated_parquet_file(tmp_path: Path, refused) -> None:
    path = write(tmp_path, "a.parquet", prefix=["x"] * 1000, suffix=["y"] * 1000)
    path.write_bytes(path.read_bytes()[:-100])
    message = refused(path)
    assert str(path) in message
    assert "cut short" in message


def test_a_prefix_that_is_not_text(tmp_path: Path, refused) -> None:
    path = write(tmp_path, "a.parquet", prefix=[1], suffix=["y"])
    assert "column 'prefix' holds int64, expected text" in refused(path)


def test_an_input_column_called_like_an_added_one(tmp_path: Path, refused) -> None:
    path = write(tmp_path, "a.parquet", prefix=["x"], suffix=["y"], status=["z"])
    message = refused(path)
    assert "'status'" in message
    assert 'input.keep=["prefix", "suffix"]' in message


def test_unknown_keys_name_the_nearest(records: Path, refused) -> None:
    assert "did you mean 'sampling'?" in refused(records, "--set", "samplin.n=2")
    assert "did you mean 'max_tokens'?" in refused(records, "--set", "sampling.max_token=2")


def test_an_order_the_family_lacks(records: Path, refused) -> None:
    assert "starcoder2; set one of psm, spm_v2" in refused(records, "--set", "infill.order=spm")


def test_a_model_that_is_nowhere(records: Path, refused) -> None:
    assert "not a local folder" in refused(records, model="/no/such/model")


def test_a_model_without_tokenizer_or_config(tmp_path: Path, records: Path, refused) -> None:
    model = tmp_path / "model"
    model.mkdir()
    assert "has no config.json" in refused(records, model=str(model))
    (model / "config.json").write_text(json.dumps({"model_type": "starcoder2"}))
    assert "has no tokenizer.json" in refused(records, model=str(model))


def test_sentinels_absent_from_the_tokenizer(records: Path, refused) -> None:
    message = refused(records, "--set", "model.family=santacoder")
    assert "no '<fim-middle>', '<fim-prefix>', '<fim-suffix>'" in message


def test_an_output_that_cannot_be_written(records: Path, cli: Cli) -> None:
    args = ("--input", records, "--output", "/proc/nowhere", "--model", "demo")
    done = cli("run", *args, *LOCAL, code=2)
    assert "output.path cannot be written: /proc/nowhere" in done.stderr


def test_an_output_with_foreign_files(tmp_path: Path, records: Path, cli: Cli) -> None:
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "chapter1.tex").write_text("precious")
    args = ("--input", records, "--output", output, "--model", "demo")
    assert "chapter1.tex" in cli("run", *args, *LOCAL, code=2).stderr


@pytest.mark.parametrize("place", ["", "filled"])
def test_an_output_among_the_inputs(records: Path, cli: Cli, place: str) -> None:
    args = ("--input", records, "--output", records / place, "--model", "demo")
    assert "would read its parts as records" in cli("run", *args, *LOCAL, code=2).stderr


def test_an_output_of_another_job(tmp_path: Path, records: Path, cli: Cli) -> None:
    args = ("run", "--input", records, "--output", tmp_path / "out", "--model", "demo", *LOCAL)
    cli(*args)
    message = cli(*args, "--set", "sampling.max_tokens=7", code=2).stderr
    assert "another job (sampling.max_tokens: 128 there, 7 now)" in message


def test_too_little_memory_for_the_engine(records: Path, tmp_path: Path, cli: Cli) -> None:
    args = ("run", "--input", records, "--output", tmp_path / "out", "--model", "demo")
    done = cli(*args, "--set", "schedule.pool=local", "--set", "engine.kv_cache_gib=9999", code=2)
    assert "9999.0 GiB" in done.stderr
    assert "engine.kv_cache_gib" in done.stderr


def test_an_engine_argument_vllm_does_not_have(records: Path, tmp_path: Path, cli: Cli) -> None:
    args = ("run", "--input", records, "--output", tmp_path / "out", "--model", "demo")
    more = ("--set", "schedule.pool=local", "--set", "engine.args.max_num_seq=4")
    assert "did you mean 'max_num_seqs'?" in cli(*args, *more, code=2).stderr


def test_rows_without_text_are_rejected_and_the_rest_runs(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "a.parquet"
    prefix = pa.array([b"x = ", None, b"\xff\xfe", b"z = "], pa.binary())
    suffix = pa.array(["\n", "\n", "\n", None])
    pq.write_table(pa.table({"prefix": prefix, "suffix": suffix}), path)

    cli("run", "--input", path, "--output", tmp_path / "out", "--model", "demo", *LOCAL)

    rows = ds.dataset(tmp_path / "out").to_table().to_pylist()
    assert [row["status"] for row in rows] == ["ok", "rejected", "rejected", "rejected"]
    assert rows[1]["error"] == f"{path}, row 1: column 'prefix' is null, expected text"
    assert f"{path}, row 2: column 'prefix' is not UTF-8 text" in rows[2]["error"]
    assert "row 3: column 'suffix' is null" in rows[3]["error"]


def test_a_damaged_page_fails_its_shards_and_the_rest_is_complete(
    tmp_path: Path, records: Path, cli: Cli
) -> None:
    texts = [f"text {row} " * 50 for row in range(2000)]
    path = records / "part-9.parquet"
    table = pa.table({"id": texts, "prefix": texts, "suffix": texts})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    content[2000:2400] = b"\xaa" * 400
    path.write_bytes(content)

    args = ("run", "--input", records, "--output", tmp_path / "out", "--model", "demo", *LOCAL)
    message = cli(*args, code=1).stderr

    assert f"{path}: rows" in message
    assert "repair it or take it out of the input" in message
    done = ds.dataset(tmp_path / "out").to_table(columns=["status"])
    assert done.num_rows >= 200
