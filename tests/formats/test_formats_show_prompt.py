"""What `batchfim prompt` shows, on StarCoder2's vocabulary: nothing more and nothing less."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from batchfim.errors import ConfigError, ModelError
from batchfim.surroundings import ContextFile, Surroundings
from tests.formats.shown import shown_prompt
from tests.formats.tiny import tiny_json

BEFORE, AFTER = "def f(x):\n    return ", "\n\nf('<fim_middle>')  # é\n"


@pytest.fixture
def model(tmp_path: Path, starcoder2_path: Path) -> Path:
    (tmp_path / "config.json").write_text('{"model_type": "starcoder2"}')
    (tmp_path / "tokenizer.json").symlink_to(starcoder2_path)
    return tmp_path


def expected(starcoder2_path: Path) -> dict[str, Any]:
    raw = Tokenizer.from_file(str(starcoder2_path))
    raw.encode_special_tokens = True  # enough here: all of StarCoder2's are flagged special
    before, after = raw.encode(BEFORE).ids, raw.encode(AFTER).ids
    return {
        "family": "starcoder2",
        "order": "spm_v2",
        "token_ids": [1, 3, *after, 2, *before],
        "pieces": [
            {"kind": "sentinel", "text": "<fim_prefix>", "token_ids": [1]},
            {"kind": "sentinel", "text": "<fim_suffix>", "token_ids": [3]},
            {"kind": "suffix", "text": AFTER, "token_ids": after},
            {"kind": "sentinel", "text": "<fim_middle>", "token_ids": [2]},
            {"kind": "prefix", "text": BEFORE, "token_ids": before},
        ],
        "stop_token_ids": [
            0,
            6,
            1,
            3,
            2,
            raw.token_to_id("<fim_pad>"),
            raw.token_to_id("<repo_name>"),
        ],
        "prompt_tokens": len(before) + len(after) + 3,
    }


def test_api(model: Path, starcoder2_path: Path) -> None:
    assert shown_prompt(str(model), BEFORE, AFTER, order="spm_v2") == expected(starcoder2_path)


def test_command_line_prints_the_same_as_json(model: Path, starcoder2_path: Path) -> None:
    arguments = ["--model", str(model), "--prefix", BEFORE, "--suffix", AFTER, "--order", "spm_v2"]

    command = [sys.executable, "-m", "batchfim", "prompt", *arguments, "--json"]
    run = subprocess.run(command, capture_output=True, check=True)
    assert json.loads(run.stdout) == expected(starcoder2_path)
    assert run.stderr == b""


def test_a_job_file_with_a_format_of_its_own(model: Path, tmp_path: Path) -> None:
    job, other = tmp_path / "job.yaml", tmp_path / "helper.py"
    other.write_text("A = 1")
    job.write_text(
        f"""
        input: {{paths: [no-such-folder/]}}
        output: {{path: out}}
        model: {{path: {model}}}
        infill:
          format:
            layouts:
              own:
                ["{{context}}", <fim_prefix>, "{{prefix}}", <fim_suffix>, "{{suffix}}",
                 <fim_middle>]
            context_file: [<file_sep>, {{text: "# {{path}}: {{text}}"}}]
            order: own
            stops: [<|endoftext|>]
        """
    )
    arguments = ["--prefix", "p", "--suffix", "s", "--context", str(other), "--json"]
    command = [sys.executable, "-m", "batchfim", "prompt", str(job), *arguments]
    shown = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    texts = [piece["text"] for piece in shown["pieces"]]
    assert texts[:3] == ["<file_sep>", f"# {other}: A = 1", "<fim_prefix>"]
    assert not (tmp_path / "out").exists()


def test_context_files_that_have_no_place_are_refused(model: Path) -> None:
    around = Surroundings(context=(ContextFile("a.py", "A = 1"),))
    with pytest.raises(ConfigError, match="order 'psm' of family starcoder2 has no place for"):
        shown_prompt(str(model), "p", "s", around=around)


def test_a_text_that_is_encoded_in_chunks_is_json_too(model: Path) -> None:
    shown = shown_prompt(str(model), "x = 1\n" * 50_000, "s")
    assert len(json.loads(json.dumps(shown))["token_ids"]) > 100_000


def test_a_context_file_that_is_no_text_is_named(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "photo.jpg"
    other.write_bytes(b"\xff\xd8")
    arguments = ["--model", str(model), "--prefix", "p", "--suffix", "s", "--context", str(other)]
    command = [sys.executable, "-m", "batchfim", "prompt", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert f"{other}: cannot be read as a context file" in run.stderr


def test_a_family_of_ones_own_choice(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    (tmp_path / "tokenizer.json").write_text(tiny_json())
    with pytest.raises(ModelError, match="'llama'"):
        shown_prompt(str(tmp_path), "a", "b")
    shown = shown_prompt(str(tmp_path), "a", "b", family="starcoder")
    assert (shown["family"], shown["order"], shown["prompt_tokens"]) == ("starcoder", "psm", 5)
    with pytest.raises(ConfigError, match="starcoder; set one of psm, spm_v2"):
        shown_prompt(str(tmp_path), "a", "b", family="starcoder", order="sp")


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_a_folder_that_is_no_model_says_what_it_lacks(tmp_path: Path, missing: str) -> None:
    for name in {"config.json", "tokenizer.json"} - {missing}:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match=f"has no {missing}"):
        shown_prompt(str(tmp_path), "a", "b")
