"""The shards whose failed rows a retry runs again."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

import pyarrow.compute as pc

from batchfim.config import JobConfig
from batchfim.errors import InputError
from batchfim.planning.work import contents_of, current_paths
from batchfim.shards import InputFile, Shard
from batchfim.storage.inputs import InputSet, open_inputs
from batchfim.storage.ledger import Ledger

_log = logging.getLogger(__name__)


def failed_shards(config: JobConfig, inputs: InputSet, ledger: Ledger) -> list[Shard]:
    """Done shards with failed rows, with the current paths of their files.

    A file is looked for among the inputs, then at its path in an earlier run.

    Those of files that are gone or have changed are left out, with a warning.

    Raises:
        InputError: no other file has failed rows.
    """
    table = ledger.done().table
    failed = set(table.filter(pc.greater(table["failed"], 0))["shard_id"].to_pylist())
    shards = [shard for shard in ledger.plan() if shard.id in failed]
    contents = contents_of(shards)
    where = current_paths(inputs.files, contents)
    paths = {file.path for file in inputs.files}
    for path in sorted({shard.path for shard in shards if shard.file not in where}):
        files = _files_at(config, path)
        paths |= {file.path for file in files}
        where |= current_paths(files, contents)
    found = [replace(shard, path=where[shard.file]) for shard in shards if shard.file in where]
    if left_out := _left_out([shard for shard in shards if shard.file not in where], paths):
        if not found:
            raise InputError(f"{config.output.path}: no failed row can be retried: {left_out}")
        _log.warning("some failed rows are not retried: %s", left_out)
    return found


def _left_out(shards: Sequence[Shard], paths: Collection[str]) -> str:
    """What to do about shards whose files are gone, or are still at their paths but changed."""
    changed = [shard.path for shard in shards if shard.path in paths]
    gone = [shard for shard in shards if shard.path not in paths]
    texts = []
    if gone:
        texts.append(
            f"{len({shard.path for shard in gone})} files are gone, such as {gone[0].path}: "
            f"restore them, or delete the parts with these rows, such as part-{gone[0].id}.parquet "
            "(their other rows are lost, too), and run `batchfim run`"
        )
    if changed:
        texts.append(
            f"{len(set(changed))} files have changed since, such as {changed[0]}: `batchfim run` "
            "processes them again"
        )
    return "; ".join(texts)


def _files_at(config: JobConfig, path: str) -> Sequence[InputFile]:
    """The file at a path of an earlier run's input; empty if it is gone."""
    try:
        return open_inputs(config.input.model_copy(update={"paths": (path,)})).files
    except InputError:
        return ()
