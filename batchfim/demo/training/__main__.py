"""`python -m batchfim.demo.training`: train, export, evaluate, and write the card.

To continue an interrupted run, pass `--resume` and the same `--out`. `--only evaluate` evaluates
the exported model again and rewrites its card. If other work shares the cores, set
`OMP_WAIT_POLICY=passive` so that waiting threads do not spin.
"""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path

from batchfim.demo.training.config import TrainingConfig
from batchfim.demo.training.run import Run

MODEL_FOLDER = Path(__file__).parent.parent / "model"


def main() -> None:
    """Parse the command line, then train, evaluate, or both."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    # The Rust tokenizer warns and disables its threads when the compiler forks.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    config = TrainingConfig(minutes=arguments.minutes, seed=arguments.seed)
    run = Run(config, arguments.out, arguments.model)
    if arguments.only in (None, "train"):
        run.train(resume=arguments.resume, note=arguments.note)
    if arguments.only in (None, "evaluate"):
        run.evaluate_exported()


def _parser() -> argparse.ArgumentParser:
    defaults = TrainingConfig()
    parser = argparse.ArgumentParser(prog="python -m batchfim.demo.training", description=__doc__)
    parser.add_argument("--minutes", type=float, default=defaults.minutes, help="time budget")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--model", type=Path, default=MODEL_FOLDER, help="folder to export into")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--resume", action="store_true", help="continue from --out's checkpoint")
    parser.add_argument("--note", help="text for the card about this run or its resumption")
    parser.add_argument("--only", choices=("train", "evaluate"), help="do one part only")
    return parser


if __name__ == "__main__":
    main()
