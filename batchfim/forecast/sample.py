"""Read and encode a sample of a job's records, in blocks of adjacent rows."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from batchfim.config import JobConfig
from batchfim.formats.encoder import Prompt
from batchfim.formats.prompt_encoder import PromptEncoder
from batchfim.metrics.histogram import Histogram
from batchfim.models.infiller import Infiller
from batchfim.planning.requests import requests
from batchfim.planning.sharing import tree_tokens
from batchfim.records import REFERENCE, Fault, Hole, read_holes, read_optional
from batchfim.shards import InputFile, Shard
from batchfim.storage.inputs import InputSet
from batchfim.storage.rows import RowReader, columns_to_read

OWN = "as set"  # the job's own way of encoding
Encoders = Mapping[str, PromptEncoder]


@dataclass(frozen=True)
class Way:
    """The token counts of a block's prompts in one way of encoding them.

    `prompt_tokens` covers all samples; `distinct_tokens` counts prefixes shared within the block
    once; `computed_tokens` is what the engine computes for all samples: the distinct tokens rounded
    up to blocks of its cache, and the last block of each further sample.
    """

    prompt_tokens: int
    distinct_tokens: int
    computed_tokens: int
    cut_tokens: int


@dataclass(frozen=True)
class Block:
    """Adjacent rows with their prompts in each way of encoding, the job's own first."""

    rows: int
    refused: Counter[str]
    truncated: int
    normalized: int
    copied: int
    ways: Mapping[str, Way]
    reference_tokens: int | None
    lengths: Sequence[int] = field(repr=False)

    @property
    def ok(self) -> int:
        return self.rows - self.refused.total()


@dataclass(frozen=True)
class Sample:
    """Blocks drawn from all files with a random seed."""

    blocks: Sequence[Block]
    of_rows: int
    seed: int

    @property
    def rows(self) -> int:
        return sum(block.rows for block in self.blocks)

    @property
    def share(self) -> float:
        return self.rows / self.of_rows if self.of_rows else 1.0

    @property
    def refused(self) -> Counter[str]:
        return sum((block.refused for block in self.blocks), Counter[str]())

    def prompt_tokens(self) -> Histogram:
        """The histogram of prompt lengths in tokens."""
        return Histogram.of(length for block in self.blocks for length in block.lengths)


def encode_sample(
    config: JobConfig,
    inputs: InputSet,
    places: Sequence[tuple[InputFile, int, int]],
    infiller: Infiller,
    encoders: Encoders,
    *,
    cache_block: int | None,
) -> Iterator[Block]:
    """Read and encode the blocks at these places.

    Args:
        config: the job.
        inputs: its files.
        places: file, first row and number of rows of each block.
        infiller: the job's infiller.
        encoders: ways to encode, the job's own first.
        cache_block: tokens per block of the engine's cache; None: it has no cache.

    Raises:
        InputError: a file is damaged.
    """
    has_reference = REFERENCE in inputs.common_columns
    extra = [REFERENCE] if has_reference else []
    reader = RowReader([*columns_to_read(config.input.columns, extra)])
    for file, start, size in places:
        rows = reader.read(Shard("sample", "sample", file.content, file.path, start, size))
        yield _block(config, rows, infiller, encoders, cache_block, has_reference)


def _block(
    config: JobConfig,
    rows: pa.Table,
    infiller: Infiller,
    encoders: Encoders,
    cache_block: int | None,
    has_reference: bool,
) -> Block:
    columns, samples = config.input.columns, config.sampling.n
    read = read_holes(rows, columns.prefix, columns.suffix, columns.others, config.model.loras)
    refused = Counter(_kind(hole.reason) for hole in read if isinstance(hole, Fault))
    holes = {row: hole for row, hole in enumerate(read) if isinstance(hole, Hole)}
    ways = {name: _encoded(encoder, holes) for name, encoder in encoders.items()}
    asked = {name: _asked(config, infiller, holes, prompts) for name, prompts in ways.items()}
    own, firsts = ways[OWN], [rows[0] for group in asked[OWN] for rows in group]
    refused["the prompt does not fit the context"] += len(holes) - len(own)
    references = read_optional(rows, REFERENCE if has_reference else None)
    return Block(
        rows=rows.num_rows,
        refused=+refused,
        truncated=sum(_cut(prompt) > 0 for prompt in own.values()),
        normalized=sum(prompt.normalized for prompt in own.values()),
        copied=len(own) - len(firsts),
        ways={
            name: _way(prompts, asked[name], samples, cache_block) for name, prompts in ways.items()
        },
        reference_tokens=_reference_tokens(config, infiller, [references[row] for row in firsts]),
        lengths=[len(prompt.token_ids) for prompt in own.values()],
    )


def _encoded(encoder: PromptEncoder, holes: Mapping[int, Hole]) -> dict[int, Prompt]:
    """The prompts that fit the context, by row."""
    encoded = encoder.encode(
        [hole.prefix for hole in holes.values()],
        [hole.suffix for hole in holes.values()],
        [hole.around for hole in holes.values()],
    )
    found = zip(holes, encoded, strict=True)
    return {row: prompt for row, prompt in found if isinstance(prompt, Prompt)}


def _asked(
    config: JobConfig, infiller: Infiller, holes: Mapping[int, Hole], prompts: Mapping[int, Prompt]
) -> list[list[list[int]]]:
    """The rows that a worker puts in one request, by adapter, as each adapter has its own cache."""
    by_adapter: dict[str, dict[int, Prompt]] = {}
    for row, prompt in prompts.items():
        by_adapter.setdefault(holes[row].around.lora, {})[row] = prompt
    greedy = config.sampling.temperature == 0

    def key(row: int) -> Hashable:
        return infiller.finisher.stop_key(holes[row])

    return [list(requests(group, key if greedy else None)) for group in by_adapter.values()]


def _way(
    prompts: Mapping[int, Prompt],
    asked: Sequence[Sequence[Sequence[int]]],
    samples: int,
    cache_block: int | None,
) -> Way:
    groups = [[prompts[rows[0]].token_ids for rows in group] for group in asked]
    return Way(
        prompt_tokens=samples * sum(len(prompt.token_ids) for prompt in prompts.values()),
        distinct_tokens=sum(map(tree_tokens, groups)),
        computed_tokens=sum(_computed(group, samples, cache_block) for group in groups),
        cut_tokens=sum(map(_cut, prompts.values())),
    )


def _computed(asked: Sequence[array[int]], samples: int, cache_block: int | None) -> int:
    """Prompt tokens an engine computes for requests with this many samples; without a cache, all.

    A cache returns whole blocks, but never a prompt's last token.
    """
    if cache_block is None:
        return samples * sum(map(len, asked))
    last = {bytes(ids): (len(ids) - 1) % cache_block + 1 for ids in asked}
    again = samples * sum(last[bytes(ids)] for ids in asked) - sum(last.values())
    return tree_tokens(asked, cache_block) + again


def _cut(prompt: Prompt) -> int:
    return (
        prompt.truncated_prefix_tokens
        + prompt.truncated_suffix_tokens
        + prompt.truncated_context_tokens
    )


def _reference_tokens(
    config: JobConfig, infiller: Infiller, references: Sequence[str | None]
) -> int | None:
    """Completion tokens if each middle were its reference, including the end token."""
    texts = [text for text in references if text is not None]
    if len(texts) < len(references):
        return None
    most = config.sampling.max_tokens
    return sum(min(len(ids) + 1, most) for ids in infiller.tokenizer.encode(texts))


def _kind(reason: str) -> str:
    return reason.partition(" at byte")[0]
