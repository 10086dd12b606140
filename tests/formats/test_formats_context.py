"""Other files in the prompt: where they go, which are dropped, and what a job must set for them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchfim.config import JobConfig
from batchfim.config.files import load_config
from batchfim.errors import ConfigError
from batchfim.formats.budget import files_dropped
from batchfim.formats.catalog import CATALOG
from batchfim.formats.encoder import Encoder, Prompt
from batchfim.formats.format import Format, Text
from batchfim.models.infiller import open_infiller
from batchfim.surroundings import NOWHERE, ContextFile, Surroundings
from tests.formats.test_formats_custom import OWN, mistral  # noqa: F401
from tests.formats.tiny import tiny_for

FILES = tuple(ContextFile(f"{i}.py", str(i) * 20) for i in range(4))
AROUND = Surroundings(path="main.py", repo="demo", context=FILES)
TOKENIZER = tiny_for(CATALOG["starcoder2"])
FILE_SIZE = 1 + len("0.py\n") + 20  # <file_sep>, then one token a byte
REST = len("demo") + len("main.py\n") + 5  # and <repo_name> <file_sep> and three sentinels


def encode(size: int | None, prefix: str = "p" * 10, suffix: str = "s" * 10) -> Prompt:
    encoder = Encoder(CATALOG["starcoder2"], "repo_psm", TOKENIZER, max_prompt_tokens=size)
    (prompt,) = encoder.encode([prefix], [suffix], [AROUND])
    assert isinstance(prompt, Prompt)
    return prompt


@given(sizes=st.lists(st.integers(0, 50), max_size=8), room=st.integers(-20, 300))
def test_no_more_files_go_than_must(sizes: list[int], room: int) -> None:
    dropped = files_dropped(sizes, room)
    assert sum(sizes[dropped:]) <= max(room, 0)
    assert dropped == 0 or sum(sizes[dropped - 1 :]) > room


def test_all_fits() -> None:
    prompt = encode(REST + 20 + 4 * FILE_SIZE)
    assert len(prompt.token_ids) == REST + 20 + 4 * FILE_SIZE
    assert prompt.truncated_context_tokens == 0


def test_the_farthest_files_go_first_and_whole() -> None:
    prompt = encode(REST + 20 + 3 * FILE_SIZE - 1)
    assert prompt.truncated_context_tokens == 2 * FILE_SIZE
    assert (prompt.truncated_prefix_tokens, prompt.truncated_suffix_tokens) == (0, 0)
    text = TOKENIZER.decode(prompt.token_ids)
    assert text == f"demo2.py\n{'2' * 20}3.py\n{'3' * 20}main.py\n{'p' * 10}{'s' * 10}"


def test_every_file_goes_before_a_token_of_prefix_or_suffix() -> None:
    prompt = encode(REST + 16)
    assert prompt.truncated_context_tokens == 4 * FILE_SIZE
    assert (prompt.truncated_prefix_tokens, prompt.truncated_suffix_tokens) == (0, 4)
    assert TOKENIZER.decode(prompt.token_ids) == f"demomain.py\n{'p' * 10}{'s' * 6}"
    assert len(prompt.token_ids) == REST + 16


def test_as_prefix_puts_plain_text_into_any_layout() -> None:
    form = CATALOG["starcoder2"].with_context_as_prefix("spm_v2")
    encoder = Encoder(form, "spm_v2", TOKENIZER)
    around = Surroundings(context=(ContextFile("a.py", "A"), ContextFile("<fim_middle>", "B\n")))
    text = "".join(piece.text for piece in encoder.pieces("p", "s", around))
    assert text == "<fim_prefix><fim_suffix>s<fim_middle>a.py\nA\n<fim_middle>\nB\n\np"
    kinds = [piece.kind for piece in encoder.pieces("p", "s", around)]
    assert kinds == ["sentinel"] * 2 + ["suffix", "sentinel", "text", "text", "prefix"]
    repository = CATALOG["starcoder2"].with_context_as_prefix("repo_psm")
    assert repository.layouts["repo_psm"].count("{context}") == 1


CODELLAMA = tiny_for(CATALOG["codellama"])
HELPER = ContextFile("a.py", "A = 1")


def prompt_of(form: Format, order: str, around: Surroundings, size: int | None = None) -> str:
    """Its ids as SentencePiece's own text, in which a leading space is to be seen."""
    encoder = Encoder(form, order, CODELLAMA, max_prompt_tokens=size)
    (prompt,) = encoder.encode(["def f():"], ["x"], [around])
    assert isinstance(prompt, Prompt)
    if size is None:
        pieces = encoder.pieces("def f():", "x", around)
        assert prompt.token_ids.tolist() == [i for piece in pieces for i in piece.token_ids]
    return CODELLAMA.decode(prompt.token_ids)


@pytest.mark.parametrize(
    ("order", "files", "size", "text"),
    [
        ("psm", (), None, " def f():x"),
        ("psm", (HELPER,), None, " a.py\nA = 1\ndef f():x"),
        ("psm", (HELPER, HELPER), None, " a.py\nA = 1\na.py\nA = 1\ndef f():x"),
        ("psm", (HELPER, HELPER), 29, " a.py\nA = 1\ndef f():x"),  # the farthest has no room
        ("psm", (HELPER,), 24, " def f():x"),  # all of 25 fits without the space alone
        ("spm_v2", (HELPER,), None, "x a.py\nA = 1\ndef f():"),
    ],
)
def test_the_first_text_of_a_run_gets_the_space(
    order: str, files: tuple[ContextFile, ...], size: int | None, text: str
) -> None:
    form = CATALOG["codellama"].with_context_as_prefix(order)
    assert prompt_of(form, order, Surroundings(context=files), size) == text


def test_the_layouts_own_text_is_the_first_of_its_run_where_there_is_no_file() -> None:
    layout = ("{context}", Text(text="# it goes on\n"), "{prefix}", "▁<SUF>", "{suffix}", "▁<MID>")
    plain = CATALOG["codellama"].with_context_as_prefix("psm")
    form = plain.model_copy(update={"layouts": {"own": layout}, "order": "own"})
    assert prompt_of(form, "own", NOWHERE) == " # it goes on\ndef f():x"
    around = Surroundings(context=(HELPER,))
    assert prompt_of(form, "own", around) == " a.py\nA = 1\n# it goes on\ndef f():x"


def test_the_last_files_text_after_its_sentinel_is_the_first_of_the_run() -> None:
    layout = ("{context}", "{prefix}", "▁<SUF>", "{suffix}", "▁<MID>")
    changed = {"layouts": {"own": layout}, "order": "own", "context_file": ("▁<PRE>", HEADED)}
    form = CATALOG["codellama"].model_copy(update=changed)
    around = Surroundings(context=(HELPER, HELPER))
    assert prompt_of(form, "own", around) == "a.py: A = 1;  a.py: A = 1; def f():x"


def test_text_before_context_runs_into_the_prefix_where_there_is_no_file() -> None:
    layout = (Text(text="# on\n"), "{context}", "{prefix}", "▁<SUF>", "{suffix}", "▁<MID>")
    pieces = (Text(text="{path}"), "▁<PRE>")
    changed = {"layouts": {"own": layout}, "order": "own", "context_file": pieces}
    form = CATALOG["codellama"].model_copy(update=changed)
    assert prompt_of(form, "own", NOWHERE) == " # on\ndef f():x"
    assert prompt_of(form, "own", Surroundings(context=(HELPER,))) == "# on\na.py def f():x"


HEADED = Text(text="{path}: {text}; ")


def test_a_file_is_written_as_its_pieces_say() -> None:
    pieces = ("<file_sep>", Text(text="# "), Text(text="{repo}/{path}"), Text(text="\n{text}\n"))
    form = CATALOG["starcoder2"].model_copy(update={"context_file": pieces})
    assert form.fields("repo_psm") == {"context", "path", "repo"}
    encoder = Encoder(form, "repo_psm", TOKENIZER)
    around = Surroundings(path="main.py", repo="demo", context=(HELPER,))
    text = "".join(piece.text for piece in encoder.pieces("p", "s", around))
    assert "<file_sep># demo/a.py\nA = 1\n<file_sep>" in text
    (prompt,) = encoder.encode(["p"], ["s"], [around])
    assert isinstance(prompt, Prompt)
    assert TOKENIZER.decode(prompt.token_ids) == "demo# demo/a.py\nA = 1\nmain.py\nps"


def job(*sets: str) -> JobConfig:
    flags: dict[str, Any] = {"input.paths": ["in"], "output.path": "out", "model.path": "demo"}
    return load_config(None, flags, sets)


@pytest.mark.parametrize(
    ("sets", "complaint"),
    [
        (["input.columns.context=files"], r"'psm' .* starcoder2 .*infill\.order to repo_psm, or"),
        (["infill.order=repo_psm"], r"needs input\.columns\.context, .*path, .*repo"),
        (["infill.context=as_prefix"], r"set input\.columns\.context"),
        (
            ["infill.context=as_prefix", "infill.order=repo_psm", "input.columns.context=files"],
            r"needs input\.columns\.path, input\.columns\.repo",
        ),
        (["infill.masks=3"], "starcoder2 does not use masks"),
        (
            ["infill.context=as_prefix", "infill.order=sp", "input.columns.context=files"],
            "starcoder2; set one of psm",
        ),
        (
            ["input.columns.context=files", "infill.order=prefix_only"],
            r"family none has no place for it; set infill\.context",
        ),
    ],
)
def test_a_job_that_cannot_be_meant_is_refused_at_start(sets: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        open_infiller(job(*sets), weights=False)


def test_a_job_with_context() -> None:
    columns = [f"input.columns.{name}={name}" for name in ("context", "path", "repo")]
    infiller = open_infiller(job("infill.order=repo_psm", *columns), weights=False)
    assert infiller.encoder.order == "repo_psm"
    plain = open_infiller(job("infill.context=as_prefix", columns[0]), weights=False)
    assert plain.encoder.layout[:3] == ("<fim_prefix>", "{context}", "{prefix}")


def test_an_empty_text_of_a_run_does_not_take_the_space() -> None:
    layout = (Text(text="{repo}"), "{prefix}", "▁<SUF>", "{suffix}", "▁<MID>")
    form = CATALOG["codellama"].model_copy(update={"layouts": {"own": layout}, "order": "own"})
    assert prompt_of(form, "own", NOWHERE) == " def f():x"
    assert prompt_of(form, "own", Surroundings(repo="r")) == " rdef f():x"
