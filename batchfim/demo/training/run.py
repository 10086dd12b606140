"""One training run from an empty folder to an exported, evaluated model with its card."""

from __future__ import annotations

import dataclasses
import logging
import platform
from importlib.metadata import version
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import Starcoder2ForCausalLM

from batchfim.demo.training.batches import SampleMaker
from batchfim.demo.training.config import TrainingConfig
from batchfim.demo.training.corpus import (
    Corpus,
    held_out_corpus,
    held_out_modules,
    stdlib_folder,
    training_corpus,
)
from batchfim.demo.training.evaluate import Evaluator
from batchfim.demo.training.export import export_model, export_record
from batchfim.demo.training.holes import HoleKind
from batchfim.demo.training.model import build_model
from batchfim.demo.training.record import DataFacts, Evaluation, TrainingRecord
from batchfim.demo.training.samples import Sentinels
from batchfim.demo.training.tokenizer import train_tokenizer
from batchfim.demo.training.train import Trainer

_LOG = logging.getLogger(__name__)

QUICK_HOLES = {HoleKind.HALF_LINE: 100, HoleKind.LINE: 100}
FULL_HOLES = {
    HoleKind.LINE: 400,
    HoleKind.HALF_LINE: 400,
    HoleKind.MULTI_LINE: 150,
    HoleKind.RANDOM_SPAN: 200,
}


class Run:
    """Ties the parts together; each method is one operation of the command line."""

    def __init__(self, config: TrainingConfig, out: Path, model_folder: Path) -> None:
        """`out` keeps tokenizer and checkpoint, `model_folder` gets what is published."""
        self._config = config
        self._out = out
        self._model_folder = model_folder
        self._held_out = held_out_corpus(stdlib_folder())
        torch.set_num_threads(config.num_threads)
        torch.manual_seed(config.seed)

    def train(self, resume: bool, note: str | None = None) -> None:
        """Train for the budget, exporting at the start, now and then, and at the end."""
        self._out.mkdir(parents=True, exist_ok=True)
        corpus = training_corpus(stdlib_folder(), self._config.test_suite_share)
        tokenizer = self._tokenizer(corpus, resume)
        model = build_model(self._config.shape, tokenizer.get_vocab_size(), Sentinels.of(tokenizer))
        trainer = Trainer(
            model,
            SampleMaker(corpus, tokenizer, self._config),
            self._config,
            self._new_record(corpus, model),
            self._out / "checkpoint.pt",
        )
        if resume:
            trainer.resume()
            trainer.record.recipe = dataclasses.asdict(self._config)
        if note is not None:
            trainer.record.notes.append(f"From minute {trainer.elapsed_s / 60:.0f} on: {note}")
        self._export(trainer, tokenizer)
        trainer.run(lambda running: self._report(running, tokenizer))
        self._export(trainer, tokenizer)

    def evaluate_exported(self) -> None:
        """Evaluate the exported weights as published, in bf16, and rewrite record and card."""
        record = TrainingRecord.model_validate_json(
            (self._model_folder / "training.json").read_text(encoding="utf-8")
        )
        tokenizer = Tokenizer.from_file(str(self._model_folder / "tokenizer.json"))
        model = Starcoder2ForCausalLM.from_pretrained(self._model_folder, dtype=torch.bfloat16)
        rows = Evaluator(model, tokenizer, self._held_out, self._config).rows(FULL_HOLES)
        last = record.curve[-1]
        record.evaluations.append(Evaluation(elapsed_s=last.elapsed_s, step=last.step, rows=rows))
        export_record(record, self._model_folder)

    def _tokenizer(self, corpus: Corpus, resume: bool) -> Tokenizer:
        path = self._out / "tokenizer.json"
        if resume:
            return Tokenizer.from_file(str(path))
        texts = (document.text for document in corpus.documents)
        tokenizer = train_tokenizer(texts, self._config.vocab_size)
        tokenizer.save(str(path))
        return tokenizer

    def _report(self, trainer: Trainer, tokenizer: Tokenizer) -> None:
        evaluator = Evaluator(trainer.model, tokenizer, self._held_out, self._config)
        rows = evaluator.rows(QUICK_HOLES)
        for row in rows:
            _LOG.info(
                "%s %s: stop %.3f exact %.3f", row.kind, row.order, row.stop_share, row.exact_share
            )
        trainer.record.evaluations.append(
            Evaluation(elapsed_s=trainer.elapsed_s, step=trainer.step, rows=rows)
        )
        self._export(trainer, tokenizer)

    def _export(self, trainer: Trainer, tokenizer: Tokenizer) -> None:
        export_model(trainer.model, tokenizer, self._model_folder)
        export_record(trainer.record, self._model_folder)

    def _new_record(self, corpus: Corpus, model: Starcoder2ForCausalLM) -> TrainingRecord:
        libraries = ("torch", "transformers", "tokenizers")
        return TrainingRecord(
            recipe=dataclasses.asdict(self._config),
            hardware=f"{self._config.num_threads} CPU cores ({platform.machine()}), no GPU",
            libraries={name: version(name) for name in libraries},
            data=DataFacts(
                python_version=platform.python_version(),
                num_files=len(corpus.documents),
                num_characters=corpus.num_characters,
                num_held_out_files=len(self._held_out.documents),
                num_held_out_characters=self._held_out.num_characters,
                held_out_modules=held_out_modules(self._held_out),
            ),
            num_parameters=model.num_parameters(),
        )
