"""`--tiny`: a tiny random model of each architecture, and the demo model, on the demo's records.

Weights are drawn with torch's seed 0 and records are cut like the demo's, so that anyone gets the
same. A random model's middles mean nothing: its row shows that the architecture runs, and the time
that everything except the model takes.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import yaml

from batchfim.demo.demo import make_records
from batchfim.errors import ConfigError
from batchfim.formats.catalog import CATALOG
from tests.tiny_families import TINY_FAMILIES, TinyFamily

CONTEXT = 512  # the demo model's trained length
_MAX_TOKENS = 48
# A family for each architecture; from `xglm` on, vLLM does not run them.
_FAMILIES = {
    "gpt_bigcode": "starcoder",
    "starcoder2": "starcoder2",
    "llama": "codellama",
    "gpt_neox": "fim-neox",
    "gemma": "codegemma",
    "qwen2": "qwen2.5-coder",
    "xglm": "incoder",
    "codegen": "codegen2",
    "t5": "codet5",
    "plbart": "plbart",
    "roberta": "unixcoder",
    "roberta_masked": "codebert",
}
_GPTJ = TinyFamily("codegen2", "gptj")  # the family's only architecture that vLLM runs
_VLLM = {
    "kv_cache_gib": 0.25,
    "args": {"dtype": "float32", "enforce_eager": True, "max_num_seqs": 64},
}
_TRANSFORMERS = {"args": {"dtype": "float32"}}


def write_tiny(folder: Path, num_records: int) -> Path:
    """Make missing models, records and COMPARE.yaml, and return the path of the last.

    Args:
        folder: the comparison's folder.
        num_records: number of records, fewer if the demo has no more.

    Raises:
        ConfigError: they were made before with another number of records.
    """
    place, text = folder / "compare.yaml", _yaml(folder, num_records)
    if place.exists():
        if place.read_text(encoding="utf8") != text:
            raise ConfigError(f"{place}: is another comparison; choose another folder with -o")
        return place
    folder.mkdir(parents=True, exist_ok=True)
    _write_records(folder / "records.parquet", num_records)
    for name, tiny in _models().items():
        if not (folder / "models" / name / "config.json").exists():
            tiny.build(folder / "models" / name, CONTEXT)
    place.write_text(text, encoding="utf8")
    return place


def _models() -> dict[str, TinyFamily]:
    of_family = {tiny.name: tiny for tiny in TINY_FAMILIES}
    models = {f"tiny-{name}": of_family[family] for name, family in _FAMILIES.items()}
    return {"tiny-gptj": _GPTJ, **models}


def _yaml(folder: Path, num_records: int) -> str:
    """Text of COMPARE.yaml, with the number of records as a comment."""
    tree = {
        "input": {"paths": [str(folder / "records.parquet")]},
        "engine": {"max_model_len": CONTEXT},
        "infill": {"stop": ["eot"], "trim": []},
        "sampling": {"max_tokens": _MAX_TOKENS, "temperature": 0.0},
        "metrics": {"progress": "none", "report": False},
        "models": [
            {"name": "demo", "path": "demo", "orders": ["psm", "spm_v2"], "engine": _VLLM},
            *(_model(name, tiny, folder) for name, tiny in _models().items()),
        ],
    }
    tree = json.loads(json.dumps(tree))  # copies, so that YAML writes no aliases
    return f"# {num_records} records\n" + yaml.safe_dump(tree, sort_keys=False)


def _model(name: str, tiny: TinyFamily, folder: Path) -> dict[str, Any]:
    on_vllm = tiny is _GPTJ or CATALOG[tiny.name].engine == "vllm"
    return {
        "name": name,
        "path": str(folder / "models" / name),
        "family": tiny.name,
        "engine": _VLLM if on_vllm else _TRANSFORMERS,
        **tiny.infill,
    }


def _write_records(place: Path, num_records: int) -> None:
    """Write every n-th record of the demo's, so that all kinds and files occur."""
    with tempfile.TemporaryDirectory() as made:
        make_records(Path(made) / "sources.parquet", Path(made) / "records")
        table = ds.dataset(Path(made) / "records").to_table()
    step = max(table.num_rows // num_records, 1)
    chosen = list(range(0, table.num_rows, step))[:num_records]
    pq.write_table(table.take(chosen), place)
