"""How many workers, and what each asks of Ray."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from batchfim.config_base import Section


class WorkerRange(Section):
    """So many workers at least, so many at most."""

    min: int = Field(1, gt=0, description="Kept to the end; those above are let go when idle.")
    max: int = Field(gt=0, description="Asked for; work begins with the first that is up.")

    @model_validator(mode="after")
    def _at_most_is_not_less(self) -> WorkerRange:
        if self.max < self.min:
            raise ValueError(f"max {self.max} is less than min {self.min}")
        return self

    @property
    def may_grow(self) -> bool:
        """It is left open how many there will be: an autoscaler may bring machines for them."""
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
    """What one worker asks of Ray."""

    num_cpus: float | None = Field(
        None,
        ge=0,
        description="CPUs that Ray keeps for it, and on CPU its engine's threads. Unset: Ray keeps "
        "1, and engines on CPU have all cores of their machines, in equal shares.",
    )
    num_gpus: float | None = Field(
        None,
        ge=0,
        description="Unset: where vLLM runs on GPU, as many as it shards the model over, else 0. "
        "Less than 1: several workers share a GPU, each with its own copy of the model.",
    )
    nodes_per_worker: int = Field(
        1,
        gt=0,
        description="Machines that the parts of one model may lie on. More than 1, for a model too "
        "large for any: a Ray placement group with one GPU, and `num_cpus` and `custom`, for each "
        "of the parts that engine.args makes of it (tensor_parallel_size, pipeline_parallel_size).",
    )
    accelerator_type: str | None = Field(
        None, min_length=1, description="Kind of GPU, by Ray's name for it: L4, A100-80G, H100, …"
    )
    custom: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description="Custom resources of the cluster's own."
    )
    ray_address: str | None = Field(None, description="Unset: RAY_ADDRESS, else a local Ray.")

    @property
    def kept_cpus(self) -> float:
        """CPUs that Ray keeps for a worker."""
        return 1.0 if self.num_cpus is None else self.num_cpus
