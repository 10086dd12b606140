"""Read and encode a sample of a job's records, in blocks of neighbours."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from batchfim.config import JobConfig
from batchfim.formats.encoder import Encoder, Prompt, TooLong
from batchfim.infiller import Infiller
from batchfim.metrics.histogram import Histogram
from batchfim.planning.choosing import ChoosingEncoder
from batchfim.planning.sharing import tree_tokens
from batchfim.records import Fault, Hole, read_holes, read_optional
from batchfim.shards import InputFile, Shard
from batchfim.storage.inputs import InputSet
from batchfim.storage.rows import RowReader, columns_to_read

REFERENCE = "middle_reference"
OWN = "as set"  # the way of encoding that the job asks for
Encoders = Mapping[str, Encoder | ChoosingEncoder]


@dataclass(frozen=True)
class Way:
    """How a block's prompts come out in one way of encoding them.

    `distinct_tokens` are those no other prompt of the block begins with, `computed_tokens` the
    same rounded up to the blocks of the engine's cache.
    """

    prompt_tokens: int
    distinct_tokens: int
    computed_tokens: int
    cut_tokens: int


@dataclass(frozen=True)
class Block:
    """Neighbouring rows, and their prompts in every way asked for, the job's own first."""

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
    """Blocks drawn from all files by a seed."""

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
        """Of each prompt."""
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
    """The blocks at these places.

    Args:
        config: the job.
        inputs: its files.
        places: file, first row and number of rows of each block.
        infiller: the job's.
        encoders: ways to encode, the job's own first.
        cache_block: tokens of a block of the engine's cache; None: it has none.

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
    columns = config.input.columns
    read = read_holes(rows, columns.prefix, columns.suffix, columns.others)
    refused = Counter(_kind(hole.reason) for hole in read if isinstance(hole, Fault))
    kept = [row for row, hole in enumerate(read) if isinstance(hole, Hole)]
    holes = [hole for hole in read if isinstance(hole, Hole)]
    encoded = {name: _encoded(encoder, holes) for name, encoder in encoders.items()}
    own = next(iter(encoded.values()))
    refused["the prompt does not fit the context"] += sum(isinstance(p, TooLong) for p in own)
    prompts = [prompt for prompt in own if isinstance(prompt, Prompt)]
    references = read_optional(rows, REFERENCE if has_reference else None)
    fitting = [row for row, prompt in zip(kept, own, strict=True) if isinstance(prompt, Prompt)]
    greedy = config.sampling.temperature == 0
    return Block(
        rows=rows.num_rows,
        refused=+refused,
        truncated=sum(_cut(prompt) > 0 for prompt in prompts),
        normalized=sum(prompt.normalized for prompt in prompts),
        copied=len(prompts) - len({bytes(p.token_ids) for p in prompts}) if greedy else 0,
        ways={name: _way(found, cache_block) for name, found in encoded.items()},
        reference_tokens=_reference_tokens(config, infiller, [references[row] for row in fitting]),
        lengths=[len(prompt.token_ids) for prompt in prompts],
    )


def _encoded(encoder: Encoder | ChoosingEncoder, holes: Sequence[Hole]) -> list[Prompt | TooLong]:
    return encoder.encode(
        [hole.prefix for hole in holes],
        [hole.suffix for hole in holes],
        [hole.around for hole in holes],
    )


def _way(encoded: Sequence[Prompt | TooLong], cache_block: int | None) -> Way:
    prompts = [prompt for prompt in encoded if isinstance(prompt, Prompt)]
    token_ids = [prompt.token_ids for prompt in prompts]
    return Way(
        prompt_tokens=sum(map(len, token_ids)),
        distinct_tokens=tree_tokens(token_ids),
        computed_tokens=_computed(token_ids, cache_block),
        cut_tokens=sum(map(_cut, prompts)),
    )


def _computed(token_ids: Sequence[array[int]], cache_block: int | None) -> int:
    """What an engine computes; without a cache, all but copies."""
    if cache_block is None:
        return sum(len(ids) for ids in {bytes(ids): ids for ids in token_ids}.values())
    return tree_tokens(token_ids, cache_block)


def _cut(prompt: Prompt) -> int:
    return (
        prompt.truncated_prefix_tokens
        + prompt.truncated_suffix_tokens
        + prompt.truncated_context_tokens
    )


def _reference_tokens(
    config: JobConfig, infiller: Infiller, references: Sequence[str | None]
) -> int | None:
    """Tokens of the middles if each were its reference, with the token that ends it."""
    texts = [text for text in references if text is not None]
    if not references or len(texts) < len(references):
        return None
    most = config.sampling.max_tokens
    return sum(min(len(ids) + 1, most) for ids in infiller.tokenizer.encode(texts))


def _kind(reason: str) -> str:
    return reason.partition(" at byte")[0]
