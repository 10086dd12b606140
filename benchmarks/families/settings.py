"""COMPARE.yaml: the models, and the sections of a job file that they all share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, ValidationError, field_validator

from batchfim.config.base import Place, Section
from batchfim.config.files import check_config, explain
from batchfim.config.plain_yaml import parse_yaml
from batchfim.errors import ConfigError
from batchfim.quality.options import Options

_OWN = ("models", "price_per_gpu_hour", "quality")
_EACH = ("model", "output")  # sections of a job that differ for every row
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$")]
Price = Annotated[float, Field(ge=0)]
Metric = Literal["exact_match", "first_line", "edit_similarity", "chrf"]


class ComparedModel(Section):
    """One model, with one row for each order."""

    name: Name = Field(description="Name in the table and of the folder.")
    path: Place = Field(description="Folder, URL, model id, or `demo`.")
    family: str | None = Field(None, description="Infilling family; detected if unset.")
    revision: str | None = None
    trust_remote_code: bool = False
    orders: tuple[str, ...] = Field(
        (), description="If unset, psm and spm_v2 if the family has both, else its recommended one."
    )
    masks: int | None = Field(None, gt=0, description="`infill.masks` of this model.")
    engine: dict[str, JsonValue] = Field(
        default_factory=dict, description="Keys of the section engine, overriding the shared ones."
    )
    load_format: Literal["auto", "dummy"] = Field(
        "auto", description="`dummy` reads no weights, to measure only speed."
    )
    price_per_gpu_hour: Price | None = Field(None, description="If unset, the shared price.")

    @field_validator("engine")
    @classmethod
    def _context_is_shared(cls, engine: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if "max_model_len" in engine:
            raise ValueError("max_model_len is shared by all models; set it in engine at the top")
        return engine


class Quality(Section):
    """How middles are evaluated, the same for all models."""

    metric: Metric = Field("edit_similarity", description="Metric in table and plots.")
    reference: str | None = None
    rule: str = "as_is"
    seed: int = 0

    @property
    def options(self) -> Options:
        """The options for `batchfim evaluate`."""
        return Options(reference=self.reference, rule=self.rule, seed=self.seed)


class Comparison(Section):
    """A comparison; `job` has the shared sections of a job file."""

    models: tuple[ComparedModel, ...] = Field(min_length=1)
    quality: Quality = Quality()
    price_per_gpu_hour: Price | None = None
    job: dict[str, Any]

    @field_validator("models")
    @classmethod
    def _names_differ(cls, models: tuple[ComparedModel, ...]) -> tuple[ComparedModel, ...]:
        names = [model.name for model in models]
        if len(set(names)) < len(names):
            raise ValueError("two models have the same name; give each its own")
        return models

    def price_of(self, model: ComparedModel) -> float | None:
        """Price of a GPU-hour, or of a worker-hour on CPU."""
        own = model.price_per_gpu_hour
        return self.price_per_gpu_hour if own is None else own


def load_comparison(path: Path) -> Comparison:
    """Read and check a comparison.

    Raises:
        ConfigError: it is wrong; the message has file and key.
    """
    try:
        tree = parse_yaml(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path}: expected `models:` and sections such as `input:`")
    return _checked(tree, str(path))


def _checked(tree: dict[str, Any], where: str) -> Comparison:
    for section in _EACH:
        if section in tree:
            raise ConfigError(f"{where}: {section}: not shared; set it per model under `models:`")
    own = {key: value for key, value in tree.items() if key in _OWN}
    shared = {key: value for key, value in tree.items() if key not in _OWN}
    settings = check_config(shared, where, {"model.path": "demo", "output.path": "each"})
    job = settings.model_dump(mode="json", exclude=set(_EACH), exclude_unset=True)
    try:
        return Comparison.model_validate({**own, "job": job})
    except ValidationError as error:
        raise ConfigError(explain(error, where, Comparison)) from None
