"""Truncation rules: the part of a middle that is evaluated.

Published numbers depend on these as much as on models, so one rule, `as_is`, is the default for
all; the rules of benchmarks are available by name, for comparison with published numbers. All are
pure functions.
"""

from __future__ import annotations

import re

from batchfim.errors import ConfigError
from batchfim.formats.languages import find_language
from batchfim.formats.syntax import num_errors
from batchfim.quality.rows import Row, Rule
from batchfim.quality.safim_block import until_block


def as_is(text: str, row: Row) -> str:
    """The whole middle, as the job's own stop and trim rules left it."""
    return text


def first_line(text: str, row: Row) -> str:
    """The first line, or the second if the first is empty or a single space.

    Source: QwenLM/Qwen2.5-Coder, `fim-bench/hm_fim/humaneval_fim.py`.
    """
    lines = text.split("\n")
    return lines[1] if len(lines) > 1 and lines[0] in ("", " ") else lines[0]


def reference_lines(text: str, row: Row) -> str:
    """As many non-blank lines as the reference has.

    Source: QwenLM/Qwen2.5-Coder, `fim-bench/eval_metric.py` (RepoEval and line completion).
    """
    if row.reference is None:
        return text
    num_lines = sum(1 for line in row.reference.split("\n") if line.strip())
    return "\n".join([line for line in text.split("\n") if line.strip()][:num_lines])


def one_statement(text: str, row: Row) -> str:
    """Python: the fewest lines with which the prefix parses; else up to the first `;`, `{` or `}`.

    Source: amazon-science/cceval, `eval_utils.py`, `postprocess_code_lines`.
    """
    if find_language(row.language, None) != "python":
        first = re.search("[;{}]", text)
        return text[: first.end()] if first and first.start() else text
    newlines = (place for place, character in enumerate(text) if character == "\n" and place)
    for end in newlines:
        if num_errors(text[:end], row.prefix or "", "", "python") == 0:
            return text[:end].rstrip()
    return text


def control_expression(text: str, row: Row) -> str:
    """Python: the first non-blank line; else up to the first `)` that the middle did not open.

    Source: gonglinyuan/safim, `prompt_utils.py`, `truncate_control`.
    """
    if find_language(row.language, None) == "python":
        return next((line for line in text.splitlines() if line.strip()), "")
    return _until_depth(text, -1)


def api_call(text: str, row: Row) -> str:
    """Up to the `)` that closes the first call.

    Source: gonglinyuan/safim, `prompt_utils.py`, `truncate_api_call`.
    """
    return text[: len(_until_depth(text, 0)) + 1]


def whole_block(text: str, row: Row) -> str:
    """As many lines as possible that add to the file's syntax tree without changing the rest.

    Source: gonglinyuan/safim, `prompt_utils.py`, `truncate_line_until_block`.
    """
    language = find_language(row.language, None)
    if language is None or row.prefix is None or row.suffix is None:
        return text
    return until_block(text, row.prefix, row.suffix, language)


RULES: dict[str, Rule] = {
    "as_is": as_is,
    "humaneval-infilling": as_is,
    "santacoder-fim": as_is,
    "fim-bench": first_line,
    "fim-bench-lines": reference_lines,
    "crosscodeeval": one_statement,
    "safim-block": whole_block,
    "safim-control": control_expression,
    "safim-api": api_call,
}


def find_rule(name: str) -> Rule:
    """The rule of this name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in RULES:
        raise ConfigError(f"--rule: unknown rule {name!r}; give one of {', '.join(RULES)}")
    return RULES[name]


def _until_depth(text: str, ends_at: int) -> str:
    """Text before the first `)` after which at most `ends_at` parentheses are open."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == ")" and depth <= ends_at:
            return text[:place]
    return text
