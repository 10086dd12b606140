"""The number of workers, and the Ray resources each one requests."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from batchfim.config.base import Section


class WorkerRange(Section):
    """Minimum and maximum number of workers."""

    min: int = Field(
        1, gt=0, description="Workers kept until the end; idle ones beyond this are released."
    )
    max: int = Field(
        gt=0, description="Workers requested; processing begins when the first one is ready."
    )

    @model_validator(mode="after")
    def _at_most_is_not_less(self) -> WorkerRange:
        if self.max < self.min:
            raise ValueError(f"max {self.max} is less than min {self.min}")
        return self

    @property
    def may_grow(self) -> bool:
        """Whether the number is open, so that an autoscaler may add machines for more workers."""
        return self.min < self.max


def _as_range(value: Any) -> Any:
    if isinstance(value, WorkerRange | dict):
        return value
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"expected a number of workers or {{min: …, max: …}}, got {value!r}")
    return {"min": value, "max": value}


Workers = Annotated[
    WorkerRange, BeforeValidator(_as_range, json_schema_input_type=int | WorkerRange)
]


class Resources(Section):
    """The Ray resources of one worker."""

    num_cpus: float | None = Field(
        None,
        ge=0,
        description="CPUs that Ray reserves for a worker, and on CPU also the number of its "
        "engine's threads. Unset: Ray reserves 1, and engines on CPU share all cores of their "
        "machines equally.",
    )
    num_gpus: float | None = Field(
        None,
        ge=0,
        description="GPUs per worker. Unset: with vLLM on GPU, as many as it shards the model "
        "over, else 0. Less than 1: several workers share a GPU, each with its own copy of the "
        "model.",
    )
    nodes_per_worker: int = Field(
        1,
        gt=0,
        description="Machines that one model may span. More than 1, for a model too large for "
        "one machine: a Ray placement group with one GPU, `num_cpus` and `custom` for each part "
        "that engine.args makes of the model (tensor_parallel_size, pipeline_parallel_size).",
    )
    accelerator_type: str | None = Field(
        None, min_length=1, description="Type of GPU, as Ray names it: L4, A100-80G, H100, …"
    )
    custom: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Amounts of the cluster's custom Ray resources."
    )
    ray_address: str | None = Field(
        None, description="Address of the Ray cluster; unset: RAY_ADDRESS, else a local Ray."
    )

    @property
    def kept_cpus(self) -> float:
        """CPUs that Ray reserves for a worker."""
        return 1.0 if self.num_cpus is None else self.num_cpus
