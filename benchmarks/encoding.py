"""Compare the encoder with the tokenizer's own batch call: `python -m benchmarks.encoding`.

Both get the same holes, cut into the standard library's modules. The tokenizer's call encodes
prefixes and suffixes and returns their ids, which is the minimum; the encoder does that with the
tokenizer in which no text becomes a control token, truncates, and builds the packed prompts. They
take turns, and the best times are compared. Then one record of 50 MB is encoded, and the increase
of the process's peak memory measured.
"""

from __future__ import annotations

import argparse
import random
import resource
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder
from batchfim.formats.tokenizer import TextTokenizer
from batchfim.models.files import demo_model_path
from benchmarks.measuring import in_process, keep, machine

LIMIT = 0.9
_HUGE_CHARACTERS = 50_000_000


def main() -> None:
    """Run the benchmark and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, default=demo_model_path() / "tokenizer.json")
    parser.add_argument("--family", default="starcoder2")
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    started = machine()
    path, family = options.tokenizer, options.family
    speed = in_process(_speed, path, family, options.records, options.rounds)
    huge = in_process(_huge, path, family)
    result = {
        "family": family,
        "vocabulary": Tokenizer.from_file(str(path)).get_vocab_size(),
        **speed,
        "limit": LIMIT,
        "one_record_of_50_mb": huge,
    }
    keep("encoding", result, started=started)


def _speed(path: Path, family: str, num_records: int, rounds: int) -> dict[str, Any]:
    text, encoder = path.read_text(encoding="utf8"), _encoder(path, family)
    own = Tokenizer.from_str(text)
    own.no_truncation()
    prefixes, suffixes = _holes(num_records)
    texts = [*prefixes, *suffixes]

    def tokenizers_own() -> list[list[int]]:
        return [e.ids for e in own.encode_batch_fast(texts, add_special_tokens=False)]

    ids = tokenizers_own()
    own_s, encoder_s = [], []
    for _ in range(rounds):
        own_s.append(_seconds(tokenizers_own))
        encoder_s.append(_seconds(lambda: encoder.encode(prefixes, suffixes)))
    tokens = sum(map(len, ids))
    return {
        "records": num_records,
        "tokens": tokens,
        "tokenizer_tokens_per_s": round(tokens / min(own_s)),
        "encoder_tokens_per_s": round(tokens / min(encoder_s)),
        "ratio": round(min(own_s) / min(encoder_s), 3),
    }


def _huge(path: Path, family: str) -> dict[str, Any]:
    encoder = _encoder(path, family)
    source = "".join(_sources())
    text = (source * (_HUGE_CHARACTERS // len(source) + 1))[:_HUGE_CHARACTERS]
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started_s = time.perf_counter()
    (prompt,) = encoder.encode([text], ["\n"])
    return {
        "seconds": round(time.perf_counter() - started_s, 1),
        "more_peak_rss_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib)
        // 1000,
        "truncated_prefix_tokens": getattr(prompt, "truncated_prefix_tokens", None),
    }


def _encoder(path: Path, family: str) -> Encoder:
    form = CATALOG[family]
    tokenizer = TextTokenizer(path.read_text(encoding="utf8"), form.control_texts())
    return Encoder(form, None, tokenizer, max_prompt_tokens=8192)


def _holes(num_records: int) -> tuple[list[str], list[str]]:
    rng, sources = random.Random(0), _sources()
    prefixes, suffixes = [], []
    for _ in range(num_records):
        source = rng.choice(sources)
        start, end = sorted(rng.sample(range(len(source) + 1), 2))
        prefixes.append(source[max(0, start - 4000) : start])
        suffixes.append(source[end : end + 2000])
    return prefixes, suffixes


def _sources() -> list[str]:
    folder = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(folder.glob("*.py"))[:150]
    texts = [file.read_text(encoding="utf8", errors="replace") for file in files]
    return [text for text in texts if len(text) > 1000]


def _seconds(call: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
