"""JobConfig: the single source for job files, command-line overrides and the schema.

Every section is frozen and rejects unknown keys. Settings that change a record's output are part
of the job's fingerprint (`fingerprint_fields`); those that change only speed or location are not,
so a job can be resumed with different workers, memory or storage credentials.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from batchfim.config.base import Place, Section, as_list
from batchfim.config.engine import SPEED_ONLY_ENGINE_ARGS
from batchfim.config.engine import Engine as Engine
from batchfim.config.schedule import Schedule as Schedule
from batchfim.config.workers import Resources as Resources
from batchfim.formats.format import PREFIX_ONLY, Format
from batchfim.formats.rules import StopRule, TrimRule

HIDDEN = "(hidden)"  # stands in for a secret
_SECRET = re.compile("token$|secret|password|key$", re.IGNORECASE)


class Columns(Section):
    """Names of the input columns."""

    prefix: str = "prefix"
    suffix: str = "suffix"
    context: str | None = Field(
        None,
        description="Column of other files: a list of {path, text} in prompt order; unset: none.",
    )
    path: str | None = Field(
        None,
        description="Column of the path of the record's own file. Unset: no layout includes it, "
        "and `infill.trim: [syntax]` takes the language from a column `path` if there is one.",
    )
    repo: str | None = Field(
        None, description="Column of the name of the record's repository; unset: none."
    )
    language: str | None = Field(
        None,
        description="Column of the record's language. Unset: no layout includes it, and "
        "`infill.trim: [syntax]` uses a column `language` if there is one.",
    )
    lora: str | None = Field(
        None,
        description="Column of adapter names, keys of `model.loras`; a null means `model.lora` if "
        "set, else no adapter.",
    )

    @property
    def names(self) -> dict[str, str]:
        """Names of all columns that are read, by setting."""
        return {key: name for key, name in self.model_dump().items() if name is not None}

    @property
    def others(self) -> dict[str, str]:
        """Names of the columns other than prefix and suffix, by setting."""
        return {k: name for k, name in self.names.items() if k not in ("prefix", "suffix")}


class Input(Section):
    """The records to process."""

    paths: Annotated[tuple[Place, ...], BeforeValidator(as_list)] = Field(
        min_length=1, description="Parquet files, folders or globs; local paths or URLs."
    )
    columns: Columns = Columns()
    keep: Annotated[tuple[str, ...] | None, BeforeValidator(as_list)] = Field(
        None, description="Input columns copied to the output; unset: all of them."
    )

    @field_validator("keep")
    @classmethod
    def _each_once(cls, keep: tuple[str, ...] | None) -> tuple[str, ...] | None:
        twice = [name for name in keep or () if (keep or ()).count(name) > 1]
        if twice:
            raise ValueError(f"the column {twice[0]!r} is named twice")
        return keep


class Output(Section):
    """The destination of the results."""

    path: Place = Field(description="Folder for the parts and the ledger; a local path or a URL.")
    compression: Literal["zstd", "snappy", "gzip", "none"] = "zstd"
    source: bool = Field(
        False,
        description="Write source_file and source_row, the input file and row number of each "
        "record; `planning.regroup` always does.",
    )


class Model(Section):
    """The model that fills the holes."""

    path: Place = Field(
        description="Folder, URL or model id, or `demo` for the model included in the package."
    )
    family: str | None = Field(
        None, description="Infilling family; unset: detected from the model."
    )
    revision: str | None = Field(None, description="Revision to load, if `path` is a model id.")
    trust_remote_code: bool = Field(False, description="Allow the model's own Python code to run.")
    lora: Place | None = Field(
        None, description="LoRA adapter for every record: a folder, URL or model id."
    )
    loras: dict[Annotated[str, Field(min_length=1)], Place] = Field(
        default_factory=dict,
        description="LoRA adapters by the names used in the column `input.columns.lora`. A record "
        "with any other name is rejected: values in the data never become paths.",
    )

    @property
    def adapters(self) -> dict[str, str]:
        """Location of each adapter by name; the adapter of `lora` has its location as its name."""
        return self.loras | ({self.lora: self.lora} if self.lora else {})


class Truncation(Section):
    """Truncation of prompts that exceed the context length."""

    enabled: bool = Field(
        True,
        description="Truncate prompts that are too long; if false, their records are rejected.",
    )
    prefix_share: float = Field(
        0.75, ge=0, le=1, description="Share of the token budget reserved for the prefix's end."
    )
    align: int | None = Field(
        None,
        gt=0,
        description="Cut prefixes at multiples of this many tokens, so that holes of one file "
        "still share a start, at the cost of up to this many tokens of context; unset: cut "
        "exactly.",
    )


class Infill(Section):
    """How a record becomes a prompt and a generation becomes a middle."""

    order: str | None = Field(
        None,
        description="Prompt layout. Unset: the family's recommended one. `prefix_only`: "
        "left-to-right completion of the prefix alone, a baseline for any model. `auto`: for each "
        "file's records in a shard, the layout whose prompts share more, in families trained "
        "equally on several.",
    )
    context: Literal["layout", "as_prefix"] = Field(
        "layout",
        description="Placement of context files: `layout`, in the layout's own place for them; "
        "`as_prefix`, as plain text before the prefix, in any layout.",
    )
    truncation: Truncation = Truncation()
    masks: int | None = Field(
        None, gt=0, description="Masks per hole, for families that fill masks (codebert)."
    )
    format: Format | None = Field(None, description="Custom format, instead of a family.")
    stop: tuple[StopRule, ...] = Field(
        ("eot",),
        description="Rules that end a middle; `eot`, the family's stop tokens, is required.",
    )
    trim: tuple[TrimRule, ...] = Field(
        (), description="Rules that cut a finished middle, applied in this order."
    )

    @model_validator(mode="after")
    def _check_rules(self) -> Infill:
        if "eot" not in self.stop:
            raise ValueError(
                "infill.stop must hold eot: text after a stop token is not part of the middle"
            )
        for key, rules in (("stop", self.stop), ("trim", self.trim)):
            if len(set(rules)) < len(rules):
                raise ValueError(f"infill.{key} names a rule twice")
        return self


class Planning(Section):
    """Preparation of the input before it is cut into shards."""

    regroup: str = Field(
        "none",
        min_length=1,
        description="Sort a copy of the input first, to bring together records that share text: "
        "by `content` (of the prefix) or by the named column. The output's columns source_file "
        "and source_row give each row's original place. `none`: keep the input's order.",
    )

    @property
    def regroups(self) -> bool:
        """Whether a sorted copy of the input is processed."""
        return self.regroup != "none"


class Sampling(Section):
    """How middles are sampled. Temperature 0 is greedy."""

    max_tokens: int = Field(128, gt=0)
    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="Sample from the k likeliest tokens only; 0: from all.")
    n: int = Field(1, gt=0, description="Samples per record; each is one output row.")
    seed: int = 0
    logprobs: Literal["none", "sum", "tokens"] = Field(
        "none",
        description="The model's own log-probabilities, before temperature and limits, of the "
        "tokens kept in the middle. `sum`: their sum and mean; `tokens`: also each one.",
    )

    @model_validator(mode="after")
    def _check_samples(self) -> Sampling:
        if self.n > 1 and self.temperature == 0:
            raise ValueError(
                "sampling.n > 1 needs sampling.temperature > 0: greedy samples are all equal"
            )
        return self


class Metrics(Section):
    """Progress display, logging and the report."""

    progress: Literal["auto", "live", "lines", "none"] = "auto"
    progress_interval_s: float = Field(
        60.0, gt=0, description="Seconds between progress lines when not on a terminal."
    )
    report: bool = Field(
        True, description="Write report.html at the end of a run that processed anything."
    )
    log: Literal["warnings", "text", "json"] = Field(
        "warnings",
        description="What the driver logs to standard error: only warnings, or one line per event "
        "(worker, lease, part, failure), as text or as JSON with job, run, shard and attempt.",
    )


class JobConfig(Section):
    """One job: its input, its output and every setting that turns one into the other."""

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
                "model.loras maps the names in the column input.columns.lora to adapters: set both"
            )
        return self

    @model_validator(mode="after")
    def _check_regroup(self) -> JobConfig:
        if self.planning.regroups and self.schedule.pool != "ray":
            raise ValueError(
                "planning.regroup sorts with Ray Data and needs schedule.pool ray; set it, or set "
                "planning.regroup to none"
            )
        return self

    @model_validator(mode="after")
    def _two_sides(self) -> JobConfig:
        columns = self.input.columns
        if columns.prefix == columns.suffix and self.infill.order != PREFIX_ONLY:
            raise ValueError(
                f"input.columns: prefix and suffix are both {columns.prefix!r}; name two columns"
            )
        return self

    @model_validator(mode="after")
    def _check_gpus(self) -> JobConfig:
        given, needed = self.resources.num_gpus, self.engine.num_devices
        if given and given < needed and needed > 1:
            raise ValueError(
                f"resources.num_gpus is {given:g}, but engine.args shards the model over {needed} "
                "GPUs: leave it unset"
            )
        return self

    @model_validator(mode="after")
    def _machines_for_the_parts_of_the_model(self) -> JobConfig:
        nodes, parts = self.resources.nodes_per_worker, self.engine.num_devices
        backend = self.engine.args.get("distributed_executor_backend")
        if nodes > 1 and (parts < nodes or self.resources.num_gpus is not None):
            raise ValueError(
                f"resources.nodes_per_worker is {nodes}, but engine.args makes {parts} parts of "
                "the model, one GPU each: set at least one part per machine "
                "(tensor_parallel_size times pipeline_parallel_size), and no resources.num_gpus"
            )
        if nodes > 1 and self.schedule.pool != "ray":
            raise ValueError("resources.nodes_per_worker: more than 1 needs schedule.pool ray")
        if backend == "ray" or (nodes > 1 and backend is not None):
            raise ValueError(
                f"engine.args.distributed_executor_backend is {backend}: leave it unset; it "
                "follows from resources.nodes_per_worker"
            )
        return self

    def fingerprint_fields(self) -> dict[str, Any]:
        """Settings that decide a record's output; two configs equal in them are the same job.

        `input.keep` is not one of them: the columns that are kept count, however they were chosen.
        """
        args = {
            name: value
            for name, value in self.engine.args.items()
            if name not in SPEED_ONLY_ENGINE_ARGS and not _SECRET.search(name)
        }
        return {
            "columns": self.input.columns.model_dump(),
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
        """`fingerprint_fields` with every optional setting at its default."""
        required = {"input": {"paths": ["*"]}, "output": {"path": "."}, "model": {"path": "."}}
        return JobConfig.model_validate(required).fingerprint_fields()

    def public_dump(self) -> dict[str, Any]:
        """The config with secrets hidden, fit for the ledger and logs."""
        dump = self.model_dump(mode="json")
        dump["engine"]["args"] = {
            name: HIDDEN if _SECRET.search(name) else value
            for name, value in dump["engine"]["args"].items()
        }
        return dump
