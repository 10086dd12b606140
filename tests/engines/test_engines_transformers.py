"""Every architecture through the engine: batched, it says what the model says to one alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from batchfim.engines.engine import Request
from tests.engines.conftest import OpenEngine, complete, ids, requests
from tests.engines.reference import reference
from tests.tiny_models import TINY_MODELS

ONE_BATCH = {"max_padding": 0.99}
SAMPLED = {"temperature": 1.0, "n": 2}


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_batch_says_what_each_prompt_alone_is_told(
    name: str, open_engine: OpenEngine, tiny_model: Callable[[str], Path]
) -> None:
    asked = requests(name)
    outcomes = complete(open_engine(name, args=ONE_BATCH), asked)
    expected = [
        reference(
            TINY_MODELS[name], tiny_model(name), one.token_ids, 12, TINY_MODELS[name].stop_ids
        )
        for one in asked
    ]
    assert [ids(outcome) for outcome in outcomes] == [[one] for one in expected]
    assert len({tuple(one) for one in expected}) > 3  # the model listens to its prompt


@pytest.mark.parametrize("name", ["codebert", "unixcoder", "plbart", "codet5"])
def test_a_padding_token_among_the_others_is_a_token(
    name: str, open_engine: OpenEngine, tiny_model: Callable[[str], Path]
) -> None:
    """Roberta on its own would give no position to it, and shift those after it."""
    tiny = TINY_MODELS[name]
    padding = tiny.sizes["pad_token_id"]
    prompts = [tiny.prompt([20, padding, 30 + i], [padding, 40]) for i in range(3)]
    outcomes = complete(open_engine(name), [Request(str(i), p, 0) for i, p in enumerate(prompts)])
    expected = [reference(tiny, tiny_model(name), one, 12, tiny.stop_ids) for one in prompts]
    assert [ids(outcome) for outcome in outcomes] == [[one] for one in expected]


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_stop_token_ends_its_row_only(name: str, open_engine: OpenEngine) -> None:
    asked = requests(name)
    free = [ids(one)[0] for one in complete(open_engine(name, stops=(), args=ONE_BATCH), asked)]
    stop = free[1][5]
    outcomes = complete(open_engine(name, stops=(stop,), args=ONE_BATCH), asked)
    for before, outcome in zip(free, outcomes, strict=True):
        (after,) = outcome
        end = before.index(stop) + 1 if stop in before else len(before)
        assert after.token_ids == before[:end]
        full = "stop" if TINY_MODELS[name].task == "masked" else "length"  # all masks are filled
        assert after.finish_reason == ("stop" if stop in before else full)


@pytest.mark.parametrize("name", TINY_MODELS)
def test_a_sample_does_not_depend_on_its_company(name: str, open_engine: OpenEngine) -> None:
    asked = requests(name)
    together = complete(open_engine(name, args=ONE_BATCH, **SAMPLED), asked)
    backwards = complete(open_engine(name, args=ONE_BATCH, **SAMPLED), asked[::-1])[::-1]
    alone = complete(open_engine(name, args={"max_batch_tokens": 1}, **SAMPLED), asked)
    samples = [ids(outcome) for outcome in together]
    assert samples == [ids(outcome) for outcome in backwards]
    assert samples == [ids(outcome) for outcome in alone]
    assert all(first != second for first, second in samples)


def test_logprobs_are_those_of_the_model_itself(
    open_engine: OpenEngine, tiny_model: Callable[[str], Path]
) -> None:
    asked = requests("llama")
    engine = open_engine("llama", args=ONE_BATCH, logprobs="sum", **SAMPLED | {"top_k": 5})
    model = transformers.LlamaForCausalLM.from_pretrained(tiny_model("llama")).eval()
    for one, samples in zip(asked, complete(engine, asked), strict=True):
        for sample in samples:
            whole = torch.tensor([one.token_ids + sample.token_ids])
            with torch.inference_mode():
                scores = model(whole).logits[0, len(one.token_ids) - 1 : -1].log_softmax(-1)
            expected = scores[range(len(sample.token_ids)), sample.token_ids].tolist()
            assert sample.logprobs == pytest.approx(expected, abs=1e-4)
