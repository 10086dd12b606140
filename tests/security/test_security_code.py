"""Config and ledger are data: nothing in the package runs what a file says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import batchfim

PACKAGE = Path(batchfim.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
# What turns bytes or text into code or objects. `torch.load` and `joblib` are pickle inside.
IMPORTS = {"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "jsonpickle"}
CALLS = {"eval", "exec", "compile", "__import__"}
METHODS = {"yaml.load", "yaml.unsafe_load", "yaml.full_load", "torch.load", "os.system", "os.popen"}
KNOWN = {
    # Its loader is the safe one, in C where it is there; the files are the package's own.
    ("formats/catalog/__init__.py", "yaml.load"),
    # Runs programs, in a process that was confined for it; see tests/sandbox.
    ("sandbox/inside.py", "compile"),
    ("sandbox/inside.py", "exec"),
}
RESTRICTED = "weights_only=True"  # torch.load then builds tensors only


def dangers(tree: ast.AST) -> set[str]:
    """What of the above a module uses, by its written name."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names if name.name.split(".")[0] in IMPORTS}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in IMPORTS:
            found.add(str(node.module))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS | METHODS:
            if ast.unparse(node.func) == "torch.load" and RESTRICTED in ast.unparse(node):
                continue
            found.add(ast.unparse(node.func))
    return found


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_unpickles_evaluates_or_loads_unsafe_yaml(module: Path) -> None:
    name = module.relative_to(PACKAGE).as_posix()
    found = dangers(ast.parse(module.read_text(encoding="utf8")))
    assert found <= {danger for known, danger in KNOWN if known == name}


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from dill import loads", "eval('1')", "yaml.load(x)", "torch.load(x)"],
)
def test_the_search_finds_each_kind(text: str) -> None:
    assert dangers(ast.parse(text))


def test_what_runs_programs_is_imported_by_no_module() -> None:
    """It is a script: in a process of the package nothing is confined."""
    texts = {module: module.read_text(encoding="utf8") for module in MODULES}
    assert [module for module, text in texts.items() if "sandbox.inside" in text] == []
    assert [m for m, text in texts.items() if "import inside" in text] == []
