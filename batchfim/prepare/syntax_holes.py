"""Cut holes along syntax nodes, as SAFIM and AST-FIM do; pure functions.

The inside of a node is cut: the statements of a block without its braces, the arguments of a call
without its brackets; blanks around them stay outside the hole.

Sources: SAFIM (arXiv 2403.04814, section 3), AST-FIM (arXiv 2506.00204, section 3).
"""

from __future__ import annotations

import random
import re
from enum import StrEnum

from tree_sitter import Node, Parser

from batchfim.formats.languages import find_language, grammar
from batchfim.formats.syntax import MAX_FILE_BYTES
from batchfim.formats.walking import walk
from batchfim.prepare.holes import Hole

MAX_HOLE_BYTES = 2048  # no usual `max_tokens` fills a longer hole


class SyntaxKind(StrEnum):
    FUNCTION_BODY = "function_body"
    BLOCK = "block"
    CONDITION = "condition"
    CALL_ARGUMENTS = "call_arguments"


# Node types of all grammars in `formats.languages`; where two share a name, they mean the same.
_FUNCTIONS = {
    *("function_definition", "function_declaration", "function_expression", "function_item"),
    *("generator_function_declaration", "method_definition", "method_declaration", "func_literal"),
    *("constructor_declaration", "arrow_function", "lambda_expression", "generator_function"),
    *("local_function_statement", "destructor_declaration", "operator_declaration"),
    *("conversion_operator_declaration", "accessor_declaration", "anonymous_method_expression"),
    *("compact_constructor_declaration", "closure_expression"),
}
_BLOCKS = {"block", "statement_block", "compound_statement", "constructor_body"}
# Nodes whose field `condition` is none: the preprocessor's and the compiler's are no code to fill,
# and a `switch` has a value there.
_NO_CONDITION = re.compile("preproc_|static_assert|switch_")
# What stands in Go's `for` where a condition may.
_GO_CLAUSES = {"for_clause", "range_clause", "block", "comment"}
# Other node types in the field `arguments` are annotations, attributes, templates, C++ braces and
# tagged literals.
_CALL_ARGUMENTS = {"arguments", "argument_list", "generator_expression"}
# Nodes whose brackets, if any, stay outside the hole.
_BRACKETED = _BLOCKS | _CALL_ARGUMENTS | {"parenthesized_expression", "condition_clause"}


def cut_syntax(
    text: str,
    language: str | None,
    path: str | None,
    kind: SyntaxKind,
    number: int,
    rng: random.Random,
) -> list[Hole]:
    """Draw up to `number` different holes of a kind; none if the text has no place for it.

    function_body   the statements of a function's body
    block           the statements of any other block: a loop, a branch, a `try`, a `with`
    condition       the condition of an `if` or a loop, or the expression before a `?`
    call_arguments  all arguments of a call

    A hole is never empty, holds no syntax error and is at most MAX_HOLE_BYTES long. The languages,
    how name and path identify them, and the maximum file size MAX_FILE_BYTES are those of the
    `syntax` trim rule.
    """
    name, code = find_language(language, path), text.encode("utf8", "surrogatepass")
    if name is None or len(code) > MAX_FILE_BYTES:
        return []
    spans = _spans(code, name, kind)
    chosen = rng.sample(spans, min(number, len(spans)))
    return [Hole(_characters(code, start), _characters(code, end)) for start, end in chosen]


def _spans(code: bytes, language: str, kind: SyntaxKind) -> list[tuple[int, int]]:
    """Byte offsets of every place for this kind, in order, without duplicates."""
    found: dict[tuple[int, int], None] = {}
    for entering, node in walk(Parser(grammar(language)).parse(code)):
        inner = _node_of(node, kind, language) if entering and node.is_named else None
        span = _inside(inner, code) if inner is not None and not inner.has_error else None
        if span is not None:
            found[span] = None
    return list(found)


def _node_of(node: Node, kind: SyntaxKind, language: str) -> Node | None:
    """The part of a node that this kind would cut."""
    if kind is SyntaxKind.CONDITION:
        return _condition(node, language)
    if kind is SyntaxKind.CALL_ARGUMENTS:
        found = node.child_by_field_name("arguments")
        return found if found is not None and found.type in _CALL_ARGUMENTS else None
    if node.type not in _BLOCKS or node.parent is None or node.parent.type == "class_definition":
        return None
    is_body = node.parent.type in _FUNCTIONS
    return node if is_body == (kind is SyntaxKind.FUNCTION_BODY) else None


def _condition(node: Node, language: str) -> Node | None:
    if language == "go" and node.type == "for_statement":
        # The grammar names no field for the condition of `for a { }`.
        parts = (part for part in node.named_children if part.type not in _GO_CLAUSES)
        return next(parts, None)
    found = node.child_by_field_name("condition")
    # The condition of JavaScript's `for (;;)` is an empty statement.
    is_code = found is not None and found.type != "empty_statement"
    return found if is_code and not _NO_CONDITION.match(node.type) else None


def _inside(node: Node, code: bytes) -> tuple[int, int] | None:
    """From its first part to its last, brackets and blanks aside; None: nothing, or too much."""
    parts = _parts(node) if node.type in _BRACKETED else [node]
    if not parts:
        return None
    start, end = parts[0].start_byte, parts[-1].end_byte
    middle = code[start:end]
    start += len(middle) - len(middle.lstrip())
    end -= len(middle) - len(middle.rstrip())
    return (start, end) if 0 < end - start <= MAX_HOLE_BYTES else None


def _parts(node: Node) -> list[Node]:
    # In Rust's `'a: { }`, the block begins with its label.
    opening = next((child.end_byte for child in node.children if child.type == "{"), 0)
    return [part for part in node.named_children if part.start_byte >= opening]


def _characters(code: bytes, offset: int) -> int:
    return len(code[:offset].decode("utf8", "surrogatepass"))
