"""Make records (Parquet rows with a hole) from source code, benchmarks and JSON lines."""

from batchfim.prepare.benchmarks import prepare_benchmark
from batchfim.prepare.code import DEFAULT_KINDS, prepare_code
from batchfim.prepare.holes import Hole, Kind, cut
from batchfim.prepare.jsonl import prepare_jsonl
from batchfim.prepare.report import PrepareReport
from batchfim.prepare.syntax_holes import SyntaxKind

__all__ = [
    "DEFAULT_KINDS",
    "Hole",
    "Kind",
    "PrepareReport",
    "SyntaxKind",
    "cut",
    "prepare_benchmark",
    "prepare_code",
    "prepare_jsonl",
]
