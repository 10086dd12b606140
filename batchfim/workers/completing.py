"""Send one request to the engine, with retries, and finish its answer for each record."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from batchfim.config import JobConfig
from batchfim.engines.engine import STOPPED, Engine, Generation, Request
from batchfim.errors import RequestRefused, TryAgain
from batchfim.formats.encoder import Prompt
from batchfim.formats.finishing import Middle
from batchfim.models.infiller import Infiller
from batchfim.records import Completion, Hole, Status


@dataclass(frozen=True, slots=True)
class InFlightRecord:
    """A record in flight.

    Attributes:
        prompt: the record's prompt.
        hole: the record's texts, for stop and trim rules.
        language: one of `formats.languages.LANGUAGES`, for the `syntax` rule.
        adapter: name of the LoRA adapter; None for the model without one.
    """

    prompt: Prompt
    hole: Hole
    language: str | None
    adapter: str | None = None


class Completer:
    """Turns prompts into finished samples; a failure of one record is confined to its rows."""

    def __init__(self, config: JobConfig, infiller: Infiller, engine: Engine) -> None:
        self._sampling = config.sampling
        self._attempts = config.schedule.record_attempts
        self._finisher = infiller.finisher
        self._order = infiller.encoder.order
        self._engine = engine
        # Only the rule `syntax` takes long enough to need a thread.
        self._parses = "syntax" in config.infill.trim

    async def complete(
        self, request_id: str, seed: int, records: Sequence[InFlightRecord]
    ) -> list[list[Completion]]:
        """Generate samples for the first record; the others, answered by the same request, copy it.

        Args:
            request_id: unique among the requests in the engine.
            seed: random seed of the first record.
            records: records with equal prompts, equal adapters and equal stop behavior.

        Raises:
            EngineDead: the engine is gone.
        """
        first = records[0]
        new_check = self._finisher.stop_checks(first.hole)
        token_ids = first.prompt.token_ids.tolist()
        request = Request(request_id, token_ids, seed, new_check, first.adapter)
        failure = ""
        for _ in range(self._attempts):
            try:
                generations = await self._engine.generate(request)
            except RequestRefused as error:
                reason = f"the engine refused the prompt: {error}"
                return [self.without_middle(Status.REJECTED, reason, record=one) for one in records]
            except TryAgain as error:
                failure = str(error)
            else:
                finish = partial(self._finish_all, records, generations)
                return await asyncio.to_thread(finish) if self._parses else finish()
        reason = f"the engine failed on this record: {failure}"
        return [self.without_middle(Status.FAILED, reason, record=one) for one in records]

    def without_middle(
        self, status: Status, reason: str, where: str = "", record: InFlightRecord | None = None
    ) -> list[Completion]:
        """Rows of a record without a middle, one for each sample it would have.

        Args:
            status: status of the rows.
            reason: the reason, which follows `where` in the column `error`.
            where: beginning of the error, naming the record's place.
            record: the record, if it had a prompt.
        """
        prompt = {"order": self._order} if record is None else _prompt_columns(record)
        return [
            Completion(status=status, sample=sample, error=where + reason, reason=reason, **prompt)
            for sample in range(self._sampling.n)
        ]

    def _finish_all(
        self, records: Sequence[InFlightRecord], generations: list[Generation]
    ) -> list[list[Completion]]:
        """Finish each record by its own texts, as truncation can make different prompts equal."""
        first, *others = [self._finish(record, generations) for record in records]
        return [first, *([_copied(sample) for sample in samples] for samples in others)]

    def _finish(self, record: InFlightRecord, generations: list[Generation]) -> list[Completion]:
        return [
            self._completion(
                record,
                sample,
                generation,
                self._finisher.finish(
                    generation.token_ids,
                    record.hole,
                    reached_limit=generation.finish_reason == "length",
                    by_rule=generation.finish_reason == STOPPED,
                    language=record.language,
                ),
            )
            for sample, generation in enumerate(generations)
        ]

    def _completion(
        self, record: InFlightRecord, sample: int, generation: Generation, middle: Middle
    ) -> Completion:
        timing = generation.timing
        return Completion(
            status=Status.OK,
            sample=sample,
            middle=middle.text,
            raw_middle=middle.raw,
            finish_reason=generation.finish_reason,
            stop_rule=middle.stop_rule,
            trim_rule=middle.trim_rule,
            degenerate=middle.degenerate,
            prompt_tokens=generation.prompt_tokens,
            cached_tokens=generation.cached_tokens,
            completion_tokens=len(generation.token_ids),
            kept_tokens=middle.kept_tokens,
            num_preemptions=generation.num_preemptions,
            **_prompt_columns(record),
            **self._logprobs(generation, middle),
            queue_s=timing.queue_s,
            ttft_s=timing.ttft_s,
            tpot_s=timing.tpot_s,
            latency_s=timing.latency_s,
        )

    def _logprobs(self, generation: Generation, middle: Middle) -> dict[str, Any]:
        """Columns with the log-probabilities of the tokens kept in the middle."""
        if generation.logprobs is None:
            return {}
        kept = generation.logprobs[: middle.kept_tokens]
        return {
            "logprob_sum": sum(kept),
            "logprob_mean": sum(kept) / len(kept) if kept else None,
            "logprobs": kept if self._sampling.logprobs == "tokens" else None,
        }


def record_seed(job_seed: int, content: str, row: int) -> int:
    """A record's 32-bit seed, the same for every attempt on every worker."""
    text = f"{job_seed} {content} {row}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=4).digest())


def _prompt_columns(record: InFlightRecord) -> dict[str, Any]:
    """Columns about the prompt, which also rows without a middle have."""
    prompt = record.prompt
    return {
        "order": prompt.order,
        "adapter": record.adapter,
        "truncated_prefix_tokens": prompt.truncated_prefix_tokens,
        "truncated_suffix_tokens": prompt.truncated_suffix_tokens,
        "truncated_context_tokens": prompt.truncated_context_tokens,
        "normalized": prompt.normalized,
    }


def _copied(sample: Completion) -> Completion:
    """The row of a record that copies a sample, for which the engine computed nothing."""
    return replace(
        sample,
        copied=True,
        cached_tokens=sample.prompt_tokens,
        num_preemptions=0,
        queue_s=None,
        ttft_s=None,
        tpot_s=None,
        latency_s=None,
    )
