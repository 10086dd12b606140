"""JobConfig: the one source for job files, command-line overrides and the schema.

Every section is frozen and refuses unknown keys. What changes the output of a record is part of
the job's fingerprint (`fingerprint_fields`); what only changes speed or place is not, so that a
job may be resumed with other workers, memory or storage credentials.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from batchfim.config_base import Place, Section, as_list
from batchfim.config_engine import SPEED_ONLY_ENGINE_ARGS
from batchfim.config_engine import Engine as Engine
from batchfim.config_workers import Resources as Resources
from batchfim.config_workers import WorkerRange, Workers
from batchfim.formats.format import PREFIX_ONLY, Format
from batchfim.formats.stopping import StopRule
from batchfim.formats.trimming import TrimRule
from batchfim.regroup.keys import NONE

HIDDEN = "(hidden)"  # in the place of a secret
_SECRET = re.compile("token$|secret|password|key$", re.IGNORECASE)


class Columns(Section):
    """Which input column holds what."""

    prefix: str = "prefix"
    suffix: str = "suffix"
    context: str | None = Field(
        None,
        description="Other files, a list of {path, text} in the order of the prompt; unset: none.",
    )
    path: str | None = Field(
        None,
        description="The record's own file. Unset: no layout names it, and `infill.trim: [syntax]` "
        "takes the language from `path`, where there is one.",
    )
    repo: str | None = Field(None, description="The name of its repository; unset: none.")
    language: str | None = Field(
        None,
        description="Its language. Unset: no layout names it, and `infill.trim: [syntax]` takes "
        "`language`, where there is one.",
    )
    lora: str | None = Field(
        None, description="A name in `model.loras`, or null: `model.lora`, or else no adapter."
    )

    @property
    def names(self) -> dict[str, str]:
        """Every column that is read, by what it holds."""
        return {key: name for key, name in self.model_dump().items() if name is not None}

    @property
    def others(self) -> dict[str, str]:
        """Those besides prefix and suffix."""
        return {k: name for k, name in self.names.items() if k not in ("prefix", "suffix")}


class Input(Section):
    """Where the records are."""

    paths: Annotated[tuple[Place, ...], BeforeValidator(as_list)] = Field(
        min_length=1, description="Parquet files, folders or globs; local paths or URLs."
    )
    columns: Columns = Columns()
    keep: Annotated[tuple[str, ...] | None, BeforeValidator(as_list)] = Field(
        None, description="Columns that ride along to the output; unset: every input column."
    )

    @field_validator("keep")
    @classmethod
    def _each_once(cls, keep: tuple[str, ...] | None) -> tuple[str, ...] | None:
        twice = [name for name in keep or () if (keep or ()).count(name) > 1]
        if twice:
            raise ValueError(f"the column {twice[0]!r} is named twice")
        return keep


class Output(Section):
    """Where the results go."""

    path: Place = Field(description="Folder for the parts and the ledger; a local path or a URL.")
    compression: Literal["zstd", "snappy", "gzip", "none"] = "zstd"


class Model(Section):
    """Which model fills the holes."""

    path: Place = Field(description="Folder, model id, or `demo` for the model that ships here.")
    family: str | None = Field(None, description="Infilling family; unset: detected.")
    revision: str | None = Field(None, description="Revision of a model id.")
    trust_remote_code: bool = Field(False, description="Let the model run its own Python code.")
    lora: Place | None = Field(
        None, description="LoRA adapter of every record: a folder, a URL or a model id."
    )
    loras: dict[Annotated[str, Field(min_length=1)], Place] = Field(
        default_factory=dict,
        description="Adapters by the names that `input.columns.lora` holds. A record with another "
        "name is rejected: what is in the data never becomes a path.",
    )

    @property
    def adapters(self) -> dict[str, str]:
        """Where each adapter is, by name; that of `lora` goes by its place."""
        return self.loras | ({self.lora: self.lora} if self.lora else {})


class Truncation(Section):
    """What happens to a prompt that is longer than the context."""

    enabled: bool = Field(True, description="Off: such a record is rejected.")
    prefix_share: float = Field(
        0.75, ge=0, le=1, description="Share of the budget kept for the prefix's end."
    )
    align: int | None = Field(
        None,
        gt=0,
        description="Cut prefixes at multiples of so many tokens, so that holes of one file go on "
        "sharing a start, at the price of up to so many tokens of context; unset: exactly.",
    )


class Infill(Section):
    """How a record becomes a prompt, and a generation a middle."""

    order: str | None = Field(
        None,
        description="Layout; unset: the family's recommended one; `prefix_only`: left to right on "
        "the prefix alone, a baseline for any model; `auto`: for each file's records in a shard "
        "the one that shares more of their prompts, in families trained on several alike.",
    )
    context: Literal["layout", "as_prefix"] = Field(
        "layout",
        description="Where context files go: into the layout's own place for them, or, in any "
        "layout, as plain text before the prefix.",
    )
    truncation: Truncation = Truncation()
    masks: int | None = Field(
        None, gt=0, description="Masks a hole becomes, for families that fill masks (codebert)."
    )
    format: Format | None = Field(None, description="A format of your own, instead of a family.")
    stop: tuple[StopRule, ...] = Field(
        ("eot",), description="What ends a middle; `eot`, the family's stop tokens, always does."
    )
    trim: tuple[TrimRule, ...] = Field(
        (), description="What cuts a finished middle, applied in this order."
    )

    @model_validator(mode="after")
    def _check_rules(self) -> Infill:
        if "eot" not in self.stop:
            raise ValueError("infill.stop must hold eot: what follows a stop token is no middle")
        for key, rules in (("stop", self.stop), ("trim", self.trim)):
            if len(set(rules)) < len(rules):
                raise ValueError(f"infill.{key} names a rule twice")
        return self


class Planning(Section):
    """How the input becomes shards."""

    regroup: str = Field(
        NONE,
        min_length=1,
        description="Sort a copy of the input first, so that records that share text meet: by "
        "`content` (of the prefix) or by a column's name; a row's old place is in the output's "
        "columns source_file and source_row. `none`: records are neighbours already.",
    )


class Sampling(Section):
    """How the middle is drawn. Temperature 0 is greedy."""

    max_tokens: int = Field(128, gt=0)
    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="0: no limit.")
    n: int = Field(1, gt=0, description="Samples per record, one output row each.")
    seed: int = 0
    logprobs: Literal["none", "sum", "tokens"] = Field(
        "none",
        description="The model's own log-probabilities (before temperature and limits) of the "
        "tokens a middle keeps: their sum and mean, and with `tokens` each.",
    )

    @model_validator(mode="after")
    def _check_samples(self) -> Sampling:
        if self.n > 1 and self.temperature == 0:
            raise ValueError("sampling.n > 1 needs sampling.temperature > 0: greedy samples agree")
        return self


class Schedule(Section):
    """Who works which shard, and how much at once."""

    pool: Literal["ray", "local"] = Field("ray", description="`local`: threads of this process.")
    workers: Workers = Field(
        WorkerRange(min=1, max=1), description="Engines: a number, or {min, max} of them."
    )
    shard_rows: int | None = Field(
        None, gt=0, description="Rows in a shard; unset: by size and number of workers."
    )
    shards_in_hand: int | None = Field(
        None,
        gt=0,
        description="Shards leased to a worker at once; unset: 2, and up to 16 while "
        "those of them that the engine has not begun would not fill it.",
    )
    in_flight_records: int | None = Field(
        None,
        gt=0,
        description="Prompts in an engine at once; unset: twice as many as it works at a time "
        "(`max_num_seqs`), so that the next always waits there.",
    )
    in_flight_tokens: int = Field(1 << 21, gt=0, description="Prompt tokens in an engine at once.")
    task_attempts: int = Field(3, gt=0, description="Attempts of a shard whose work raises.")
    node_losses: int = Field(
        20, gt=0, description="Machines a shard may lose before its rows are written as failed."
    )
    record_attempts: int = Field(3, gt=0, description="Attempts of a record the engine failed on.")
    rerun: bool | None = Field(
        None,
        description="Let idle workers work the last shards a second time; unset: on GPUs, where "
        "that takes nothing from the first.",
    )
    start_attempts: int = Field(
        3,
        gt=0,
        description="Failed engine starts in a row after which no more "
        "are made; counted once an engine has been up.",
    )
    setbacks: int = Field(
        8,
        gt=0,
        description="Workers lost and attempts failed in a row, for each worker, with no shard "
        "completed in between, after which the job stops with the first cause.",
    )
    start_timeout_s: float = Field(1800, gt=0, description="For an engine to come up.")
    stall_timeout_s: float = Field(
        900, gt=0, description="A worker that makes no step for so long is killed and replaced."
    )
    no_worker_timeout_s: float = Field(
        3600, gt=0, description="To wait for a worker where there is none, as for new machines."
    )
    stop_after_s: float | None = Field(
        None,
        gt=0,
        description="Seconds from a run's start after which it takes no more shards and ends, as "
        "after SIGTERM; the next run goes on. Unset: it works all there is.",
    )
    grace_s: float = Field(
        20,
        ge=0,
        description="After SIGTERM or `stop_after_s`, to finish shards in hand before they are "
        "given back.",
    )

    def records_in_flight(self, max_num_seqs: int) -> int:
        """Prompts in an engine at once that works so many at a time."""
        return self.in_flight_records or 2 * max_num_seqs


class Metrics(Section):
    """What is told while the job runs, and after it."""

    progress: Literal["auto", "live", "lines", "none"] = "auto"
    progress_interval_s: float = Field(60.0, gt=0, description="Between lines, off a terminal.")
    report: bool = Field(
        True, description="Make report.html at the end of a run that worked anything."
    )
    log: Literal["warnings", "text", "json"] = Field(
        "warnings",
        description="What the driver logs on standard error: warnings; or a line for each event "
        "(worker, lease, part, failure), as text or as JSON with job, run, shard and attempt.",
    )


class JobConfig(Section):
    """One job: its input, its output and all that decides how one becomes the other."""

    input: Input
    output: Output
    model: Model
    engine: Engine = Engine()
    infill: Infill = Infill()
    sampling: Sampling = Sampling()
    planning: Planning = Planning()
    schedule: Schedule = Schedule()
    resources: Resources = Resources()
    metrics: Metrics = Metrics()

    @model_validator(mode="after")
    def _one_source_of_format(self) -> JobConfig:
        if self.infill.format is not None and self.model.family is not None:
            raise ValueError("give model.family or infill.format, not both")
        return self

    @model_validator(mode="after")
    def _names_that_mean_adapters(self) -> JobConfig:
        if (self.input.columns.lora is None) == bool(self.model.loras):
            raise ValueError(
                "model.loras says which adapter a name in input.columns.lora means: set both"
            )
        return self

    @model_validator(mode="after")
    def _check_regroup(self) -> JobConfig:
        if self.planning.regroup != NONE and self.schedule.pool != "ray":
            raise ValueError("planning.regroup sorts with Ray Data: it needs schedule.pool ray")
        return self

    @model_validator(mode="after")
    def _two_sides(self) -> JobConfig:
        columns = self.input.columns
        if columns.prefix == columns.suffix and self.infill.order != PREFIX_ONLY:
            raise ValueError(f"input.columns: prefix and suffix are both {columns.prefix!r}")
        return self

    @model_validator(mode="after")
    def _check_gpus(self) -> JobConfig:
        given, needed = self.resources.num_gpus, self.engine.num_devices
        if given and given < needed and needed > 1:
            raise ValueError(
                f"resources.num_gpus is {given:g}, and engine.args shards the model over {needed} "
                "GPUs: leave it unset"
            )
        return self

    @model_validator(mode="after")
    def _machines_for_the_parts_of_the_model(self) -> JobConfig:
        nodes, parts = self.resources.nodes_per_worker, self.engine.num_devices
        backend = self.engine.args.get("distributed_executor_backend")
        if nodes > 1 and (parts < nodes or self.resources.num_gpus is not None):
            raise ValueError(
                f"resources.nodes_per_worker is {nodes}, and engine.args makes {parts} parts of "
                "the model, each with a GPU of its own: give as many at least "
                "(tensor_parallel_size times pipeline_parallel_size), and no resources.num_gpus"
            )
        if nodes > 1 and self.schedule.pool != "ray":
            raise ValueError("resources.nodes_per_worker: more than 1 needs schedule.pool ray")
        if backend == "ray" or (nodes > 1 and backend is not None):
            raise ValueError(
                f"engine.args.distributed_executor_backend is {backend}: leave it unset, it "
                "follows from resources.nodes_per_worker"
            )
        return self

    def fingerprint_fields(self) -> dict[str, Any]:
        """What decides a record's output; two configs that agree here are one job."""
        args = {
            name: value
            for name, value in self.engine.args.items()
            if name not in SPEED_ONLY_ENGINE_ARGS and not _SECRET.search(name)
        }
        return {
            "columns": self.input.columns.model_dump(),
            "keep": self.input.keep,
            "model": self.model.model_dump(),
            "engine": {
                "backend": self.engine.backend,
                "max_model_len": self.engine.max_model_len,
                "args": args,
            },
            "infill": self.infill.model_dump(),
            "sampling": self.sampling.model_dump(),
            "planning": self.planning.model_dump(),
        }

    def fingerprint_defaults(self) -> dict[str, Any]:
        """`fingerprint_fields` of this job if it set nothing that it may leave out."""
        required = {"input": {"paths": ["*"]}, "output": {"path": "."}, "model": {"path": "."}}
        return JobConfig.model_validate(required).fingerprint_fields()

    def public_dump(self) -> dict[str, Any]:
        """The config as the ledger and logs may show it."""
        dump = self.model_dump(mode="json")
        dump["engine"]["args"] = {
            name: HIDDEN if _SECRET.search(name) else value
            for name, value in dump["engine"]["args"].items()
        }
        return dump


def demo_model_path() -> Path:
    """Folder of the model that ships with the package (`--model demo`)."""
    return Path(__file__).parent / "demo" / "model"
