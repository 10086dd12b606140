"""An engine core without a model that answers vLLM's front end in steps, like a real one.

It replaces the engine's own core, so that the front-end process's work per record can be measured
without an engine working beside it. A step takes as long as one on a GPU.
"""

from __future__ import annotations

import multiprocessing
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

STEP_S = 0.01
_RANK = (0).to_bytes(2, "little")


def install() -> None:
    """Make every vLLM client of this process start the stub."""
    from vllm.v1.engine import core_client

    core_client.launch_core_engines = _launched


@contextmanager
def _launched(vllm_config: Any, executor: Any, log_stats: bool, addresses: Any) -> Iterator[Any]:
    from vllm.v1.engine.utils import CoreEngineLaunch

    most = vllm_config.scheduler_config.max_num_seqs
    arguments = (addresses.inputs[0], addresses.outputs[0], most, log_stats)
    context = multiprocessing.get_context("spawn")
    context.Process(target=_serve, args=arguments, daemon=True).start()
    yield CoreEngineLaunch(None, None, addresses, None)


def _serve(input_address: str, output_address: str, max_num_seqs: int, log_stats: bool) -> None:
    from vllm.v1.engine import EngineCoreOutputs, EngineCoreRequest, EngineCoreRequestType
    from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder

    context = zmq.Context()
    inputs, outputs = context.socket(zmq.DEALER), context.socket(zmq.PUSH)
    inputs.setsockopt(zmq.IDENTITY, _RANK)
    inputs.connect(input_address)
    outputs.connect(output_address)
    inputs.send(b"")
    encoder, decoder = MsgpackEncoder(), MsgpackDecoder()
    requests = MsgpackDecoder(EngineCoreRequest)
    waiting: deque[_Sequence] = deque()
    running: dict[str, _Sequence] = {}
    while True:
        while inputs.poll(0 if running else None):
            kind, *frames = inputs.recv_multipart()
            match EngineCoreRequestType(kind):
                case EngineCoreRequestType.ADD:
                    waiting.append(_Sequence(requests.decode(frames), log_stats))
                case EngineCoreRequestType.ABORT:
                    for request_id in decoder.decode(frames):
                        running.pop(request_id, None)
                case EngineCoreRequestType.UTILITY:
                    told = EngineCoreOutputs(utility_output=_answer(*decoder.decode(frames)))
                    outputs.send_multipart(encoder.encode(told))
            if not running:
                break
        while waiting and len(running) < max_num_seqs:
            sequence = waiting.popleft()
            running[sequence.request_id] = sequence
        if running:
            time.sleep(STEP_S)
            step = EngineCoreOutputs(outputs=[one.step() for one in running.values()])
            outputs.send_multipart(encoder.encode(step))
            running = {name: one for name, one in running.items() if one.left}


def _answer(client: int, call_id: int, method: str, arguments: Any) -> Any:
    from vllm.v1.engine import UtilityOutput
    from vllm.v1.serial_utils import UtilityResult

    result = ("generate",) if method == "get_supported_tasks" else True
    return UtilityOutput(call_id, result=UtilityResult(result))


class _Sequence:
    """A request whose middle consists of its own prompt's ids, up to the limit."""

    def __init__(self, request: Any, log_stats: bool) -> None:
        self.request_id = request.request_id
        self.left = request.sampling_params.max_tokens
        self._prompt = request.prompt_token_ids
        self._log_stats = log_stats
        self._is_first = True

    def step(self) -> Any:
        from vllm.v1.engine import EngineCoreOutput, FinishReason

        self.left -= 1
        place = len(self._prompt) // 2 + self.left  # a position in text, not a sentinel
        output = EngineCoreOutput(self.request_id, [self._prompt[place % len(self._prompt)]])
        if self._is_first:
            self._is_first = False
            output.prefill_stats = _prefill(len(self._prompt))
            output.events = _events() if self._log_stats else None
        if not self.left:
            output.finish_reason = FinishReason.LENGTH
        return output


def _prefill(num_tokens: int) -> Any:
    from vllm.v1.metrics.stats import PrefillStats

    return PrefillStats(num_tokens, num_tokens)


def _events() -> list[Any]:
    from vllm.v1.engine import EngineCoreEvent, EngineCoreEventType

    kinds = (EngineCoreEventType.QUEUED, EngineCoreEventType.SCHEDULED)
    return [EngineCoreEvent.new_event(kind) for kind in kinds]
