"""The phase before the plan: make a regrouped copy of the input files, complete or not at all."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

import pyarrow as pa

from batchfim.cluster.token import keep_ray_private
from batchfim.config import Input, JobConfig
from batchfim.errors import ConfigError, InputError, JobFailed, StorageError
from batchfim.planning.work import current_paths, rewritten_warning
from batchfim.regroup.keys import CONTENT
from batchfim.shards import InputFile
from batchfim.storage.inputs import InputSet, open_inputs
from batchfim.storage.kept import SOURCE
from batchfim.storage.ledger import Ledger
from batchfim.storage.location import Location
from batchfim.storage.regrouped import RegroupedCopies, compared
from batchfim.storage.rows import columns_to_read
from batchfim.storage.stores import extended

_log = logging.getLogger(__name__)


def check_regroup(config: JobConfig, inputs: InputSet) -> None:
    """Refuse an input that cannot be regrouped or named in the output, before anything is written.

    Raises:
        ConfigError: Ray Data is not available.
        InputError: the column to group by is missing, or a column has a name that the job adds.
    """
    _check_names(config, inputs)
    if not config.planning.regroups:
        return
    group = _group_column(config)
    if group and group not in inputs.common_columns:
        raise InputError(
            f"planning.regroup: not all input files have a column {group!r}; choose one of "
            f"{', '.join(inputs.common_columns)}, or set it to {CONTENT}"
        )
    keep_ray_private(config.resources)
    try:
        import_module("ray.data")
    except ImportError as error:
        raise ConfigError(
            f"planning.regroup sorts with Ray Data, which cannot be imported ({error}); "
            "pip install 'ray[data]'"
        ) from None


def _check_names(config: JobConfig, inputs: InputSet) -> None:
    setting = "planning.regroup" if config.planning.regroups else "output.source"
    clashes = {*SOURCE.names} & {*inputs.kept.names}
    if clashes and _has_source(config):
        raise InputError(
            f"{setting} adds the columns {' and '.join(SOURCE.names)}, but the input already has "
            f"{', '.join(sorted(clashes))}; rename it, or leave it out with input.keep"
        )


def kept_columns(config: JobConfig, inputs: InputSet) -> pa.Schema:
    """The input columns kept in the output, plus those with each row's place in the input."""
    return pa.schema([*inputs.kept, *SOURCE]) if _has_source(config) else inputs.kept


def _has_source(config: JobConfig) -> bool:
    return config.output.source or config.planning.regroups


def regrouped(
    config: JobConfig, inputs: InputSet, ledger: Ledger, may_finish: Callable[[], bool]
) -> InputSet:
    """The input with each group's records together: earlier copies, and a new one of new files.

    Args:
        config: the job.
        inputs: the user's files.
        ledger: the job's ledger, which holds the copies.
        may_finish: whether this run still holds the job.

    Raises:
        InputError: a file has changed since it was copied, or rows cannot be read.
        ConfigError: Ray has no CPU to sort on.
        StorageError, JobFailed: a copy that planned shards read from is missing, or a new one
            cannot be made.
    """
    if not config.planning.regroups:
        return replace(inputs, kept=kept_columns(config, inputs))
    columns = columns_to_read(
        config.input.columns, [*inputs.kept.names, *inputs.language_columns.names]
    )
    copies = RegroupedCopies(ledger.regrouped)
    copies.clear_rest()
    opened = _open(config, inputs, copies)
    # Sorting again would plan every row twice.
    contents, _ = ledger.planned_files()
    if contents.keys() - current_paths(opened.files, contents).keys():
        raise StorageError(
            f"{ledger.regrouped.path}: a regrouped copy that planned shards read from is missing; "
            "restore it, or choose another output.path"
        )
    filled = [file for file in inputs.files if file.num_rows]
    if warning := rewritten_warning(filled, copies.known_at()):
        _log.warning("%s", warning)
    new, gone = compared(filled, copies.finished().values())
    if gone:
        _log.warning(
            "%s regrouped input files are gone, such as %s; their rows are still processed, as "
            "they are in a regrouped copy with those of other files",
            *(len(gone), gone[0]),
        )
    if not new:
        return opened
    _copy(config, inputs, new, columns, copies, may_finish)
    return _open(config, inputs, copies)


def regrouped_so_far(config: JobConfig, inputs: InputSet, ledger: Ledger) -> InputSet:
    """What a run reads, as far as it exists: the finished copies, and the files still to be sorted.

    Raises:
        InputError, StorageError: as `regrouped`.
    """
    if not config.planning.regroups:
        return inputs
    copies = RegroupedCopies(ledger.regrouped)
    opened = _open(config, inputs, copies)
    filled = [file for file in inputs.files if file.num_rows]
    new, _ = compared(filled, copies.finished().values())
    files = [*opened.files, *new]
    if not opened.files:
        return replace(inputs, files=files)
    common = [name for name in inputs.common_columns if name in opened.common_columns]
    return replace(inputs, files=files, common_columns=tuple(common))


def _copy(
    config: JobConfig,
    inputs: InputSet,
    files: list[InputFile],
    columns: list[str],
    copies: RegroupedCopies,
    may_finish: Callable[[], bool],
) -> None:
    from batchfim.cluster.connection import connected
    from batchfim.regroup.ray_sort import SortJob, check_can_sort, sort_files

    copy_id = copies.new_id()
    folder, num_rows = copies.folder(copy_id), sum(file.num_rows for file in files)
    folder.make_folder()
    job = SortJob(
        files=files,
        columns=columns,
        kept=inputs.kept,
        prefix=config.input.columns.prefix,
        group=_group_column(config),
        target=_url(config, folder),
    )
    with connected(config.resources):
        if not config.schedule.workers.may_grow:
            check_can_sort()
        if config.metrics.progress != "none":
            print(f"regrouping {num_rows:,} rows of {len(files):,} files", file=sys.stderr)
        written = sort_files(job, progress=_shows_progress(config))
    if written != num_rows:
        raise StorageError(f"{folder.path}: regrouped {written} of {num_rows} rows; run again")
    if not may_finish():
        raise JobFailed(f"{config.output.path}: this run lost the job's lease; run again")
    copies.finish(copy_id, files)


def _open(config: JobConfig, inputs: InputSet, copies: RegroupedCopies) -> InputSet:
    """Read the copies' footers, and check that they have as many rows as their markers say."""
    finished = {name: marker for name, marker in copies.finished().items() if marker.num_rows}
    if not finished:
        return replace(inputs, files=[], kept=kept_columns(config, inputs))
    folders = [_url(config, copies.folder(copy_id)) for copy_id in sorted(finished)]
    keep = kept_columns(config, inputs).names
    opened = open_inputs(Input(paths=tuple(folders), columns=config.input.columns, keep=keep))
    expected = sum(marker.num_rows for marker in finished.values())
    if opened.num_rows != expected:
        raise StorageError(
            f"{', '.join(folders)}: found {opened.num_rows} rows, but the markers say {expected}; "
            "restore the files, or choose another output.path"
        )
    return replace(opened, kept=kept_columns(config, inputs))


def _group_column(config: JobConfig) -> str | None:
    regroup = config.planning.regroup
    return regroup if config.planning.regroups and regroup != CONTENT else None


def _url(config: JobConfig, folder: Location) -> str:
    """The URL or path of a folder below the output, in the form given for the output."""
    output = config.output.path
    below = folder.path.removeprefix(Location.of(output).path).strip("/")
    return extended(output, f"/{below}")


def _shows_progress(config: JobConfig) -> bool:
    return config.metrics.progress != "none" and sys.stderr.isatty()
