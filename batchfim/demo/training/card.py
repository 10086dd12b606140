"""Render the model card from the training record, so that no figure is typed by hand."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from batchfim.demo.training.record import CurvePoint, Evaluation, TrainingRecord

NUM_CURVE_ROWS = 14
LINE_WIDTH = 100

_HEADER = """\
---
license: apache-2.0
language: code
library_name: transformers
pipeline_tag: text-generation
tags: [fill-in-the-middle, starcoder2]
---
"""


def render_card(record: TrainingRecord) -> str:
    """The card as Markdown; sections without figures yet are left out."""
    sections = [_HEADER + _introduction(record), _data(record), _training(record)]
    if record.curve:
        sections.append(_curve(record.curve))
    if record.evaluations:
        sections.append(_evaluation(record))
    sections.append(_limits())
    return "\n".join(sections)


def _introduction(record: TrainingRecord) -> str:
    shape = record.recipe["shape"]
    return f"""\
# batchfim's demonstration model

A tiny infilling model of {record.num_parameters:,} parameters, trained from scratch by this project
on {record.hardware}. It is a **stand-in, not a good coder**: it lets every part
of batchfim (prompts, engine, scheduler, output) run for real without downloading a model.

| | |
|---|---|
| Architecture | StarCoder2 (`Starcoder2ForCausalLM`): {shape["num_layers"]} layers, \
{shape["hidden_size"]} wide, MLP {shape["intermediate_size"]}, {shape["num_heads"]} heads and \
{shape["num_kv_heads"]} key-value heads of {shape["hidden_size"] // shape["num_heads"]}, \
tied embeddings, RoPE |
| Weights | bf16 `safetensors`, Apache-2.0, the project's own |
| Tokenizer | byte-level BPE of {record.recipe["vocab_size"]:,} entries, trained on the same \
modules, one token per digit |
| Sentinels | StarCoder2's: `<fim_prefix>` 1, `<fim_middle>` 2, `<fim_suffix>` 3; a middle ends \
with `<|endoftext|>` 0 |
| Orders | `psm` and `spm_v2`, each for half of the samples |
| Trained prompt length | up to 512 tokens, including the middle |
"""


def _data(record: TrainingRecord) -> str:
    data = record.data
    modules = ", ".join(f"`{name}`" for name in data.held_out_modules)
    held_out = textwrap.fill(
        "Whole modules are held out by a hash of their name (`batchfim/demo/holdout.py`), and so "
        f"are the tests of those modules: {modules} ({data.num_held_out_files} files, "
        f"{data.num_held_out_characters / 1e6:.2f} million characters).",
        width=LINE_WIDTH,
        break_on_hyphens=False,
    )
    return f"""\
## Data

The standard library of Python {data.python_version} and its test suite
({data.num_files:,} files, {data.num_characters / 1e6:.1f} million characters), licensed under the
[PSF License Agreement, version 2](https://docs.python.org/3/license.html) (`PSF-2.0`),
copyright the Python Software Foundation. Character encodings, help texts and IDLE are left out.

{held_out}
"""


def _training(record: TrainingRecord) -> str:
    recipe = record.recipe
    kinds = ", ".join(f"{name} {share:.0%}" for name, share in recipe["kind_shares"])
    versions = ", ".join(f"{name} {version}" for name, version in record.libraries.items())
    facts = (
        f"Each step cuts {recipe['batch_tokens']:,} tokens of new holes ({kinds}). Prefix, suffix "
        "and middle are split at characters and tokenized separately. The middle's tokens weigh 1 "
        f"in the loss, all others {recipe['context_weight']}. The optimizers are Muon (rate "
        f"{recipe['muon_lr']}) for matrices and AdamW ({recipe['adamw_lr']}) for the rest, with "
        "bf16 autocast and a rate that falls to zero over the last "
        f"{recipe['decay_share']:.0%} of the time. Made with {versions}."
    )
    text = textwrap.fill(
        " ".join([_spent(record.curve) + facts, *record.notes, *_caveat(record)]),
        width=LINE_WIDTH,
        break_on_hyphens=False,
    )
    return f"""\
## Training

{text}

    python -m batchfim.demo.training --minutes {recipe["minutes"]:g} --out RUN_FOLDER
"""


def _caveat(record: TrainingRecord) -> list[str]:
    """A caveat for a run whose recipe changed on the way, since its command does not repeat it."""
    if not record.notes:
        return []
    return [
        "The command below runs the last recipe from its start; this run changed it on the way."
    ]


def _spent(curve: Sequence[CurvePoint]) -> str:
    if not curve:
        return ""
    last = curve[-1]
    return (
        f"{last.step:,} steps, {last.num_tokens / 1e6:.1f} million tokens, "
        f"{last.elapsed_s / 60:.0f} minutes of wall clock "
        f"({last.num_tokens / last.elapsed_s:,.0f} tokens/s, compiling, evaluating and other "
        "work on the same cores included). "
    )


def _curve(curve: Sequence[CurvePoint]) -> str:
    every = max(1, len(curve) // NUM_CURVE_ROWS)
    chosen = [*curve[:-1][every - 1 :: every], curve[-1]]
    lines = (
        f"| {point.elapsed_s / 60:.0f} | {point.step:,} | {point.num_tokens / 1e6:.1f} "
        f"| {point.middle_loss:.2f} | {point.context_loss:.2f} |"
        for point in chosen
    )
    return _table(
        "Training loss (nats per token), each averaged over about a minute:",
        "| minutes | steps | million tokens | middle | context |",
        lines,
    )


def _evaluation(record: TrainingRecord) -> str:
    last: Evaluation = record.evaluations[-1]
    lines = (
        f"| {row.kind} | {row.order} | {row.num_holes} | {row.stop_share:.1%} "
        f"| {row.exact_share:.1%} |"
        for row in last.rows
    )
    recipe = record.recipe
    return "## Held-out evaluation\n\n" + _table(
        f"After step {last.step:,}, with greedy decoding, on holes in held-out modules (comments "
        "and docstrings too),\nwith prompts of up to "
        f"{recipe['eval_max_prompt_tokens']} tokens. *Stopped*: the model ended the middle itself "
        f"within {recipe['eval_max_new_tokens']}\ntokens. *Exact*: it stopped, and every "
        "character is the file's.",
        "| hole | order | holes | stopped | exact |",
        lines,
    )


def _limits() -> str:
    return """\
## Limits

The model has seen nothing but Python's standard library, for an hour or two on two CPU cores.
Apart from the ends of lines, copied names and common idioms, what it writes is plausible in form
and wrong in substance. Do not use it to write code; use it to see batchfim work.
"""


def _table(lead: str, header: str, lines: Iterable[str]) -> str:
    rule = "|" + "---|" * (header.count("|") - 1)
    return "\n".join([lead, "", header, rule, *lines]) + "\n"
