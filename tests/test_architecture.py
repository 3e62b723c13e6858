"""The floors of the house: who may import whom, how long a file may be, what is public."""

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_nn as tn
from tinygrad_nn._table import RULES

PACKAGE = Path(tn.__file__).parent
PLUGIN = PACKAGE.with_name("tinygrad_nn_pytest.py")
FLOORS = [  # from the bottom; a file may import from floors below its own
    ["_errors", "_version"],
    ["_messages", "_files"],
    ["_table"],
    ["_core"],
    ["_safetensors"],
    ["kernels"],
    ["rules"],
    ["_modes"],
    ["_graph"],
    ["_tensor", "_dual", "_symbol"],
    ["_later"],
    ["_transforms"],
    ["_custom"],
    ["_differences"],
    ["_findings"],
    ["_blame"],
    ["_gradcheck"],
    ["_program"],
    ["passes"],
    ["_reach"],
    ["_record"],
    ["_compare"],
    ["_link"],
    ["_closed_form"],
    ["_loop"],
    ["_compile"],
    ["nn"],
    ["models"],
    ["_saved_model"],
    ["optim"],
    ["data"],
    ["train"],
    ["testing"],
    ["__init__"],
]
NEVER = {"kernels": {"_table", "_core"}, "optim": {"nn", "models"},
         "data": {"nn", "models", "optim", "_core", "_tensor"},
         "rules": {"_graph", "_tensor", "_dual"}, "train": {"data", "models"},
         "testing": {"data", "models", "train"}}
THIRD_PARTY = {"numpy": None, "PIL": {"data"}, "h5py": {"data"}, "hypothesis": {"testing"},
               "numba": {"kernels/_numba"}, "threadpoolctl": {"kernels/_blas"},
               "llvmlite": {"kernels/_ir", "kernels/_llvm"}}

FILES = sorted(PACKAGE.rglob("*.py"))


def floor_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """(floor or third-party name) of every import of a file."""
    package = path.relative_to(PACKAGE.parent).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name.partition(".")[0] for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield node.module.partition(".")[0]
                continue
            base = [*package[:len(package) - node.level + 1], *(node.module or "").split(".")]
            base = [b for b in base if b]
            yield from ([base[1]] if len(base) > 1 else [a.name for a in node.names])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_imports_only_from_floors_below(path):
    height = {name: i for i, floor in enumerate(FLOORS) for name in floor}
    mine = floor_of(path)
    assert mine in height, f"{mine} has no floor: put it into FLOORS"
    for name in imports(path):
        if name in height and name != mine:
            assert height[name] < height[mine], f"{path.name} imports {name} from above"
            assert name not in NEVER.get(mine, ()), f"{mine} must not see {name}"
        elif name not in height and name not in sys.stdlib_module_names:
            allowed = THIRD_PARTY.get(name, set())
            file = path.relative_to(PACKAGE).with_suffix("").as_posix()
            assert allowed is None or {mine, file} & allowed, f"{path.name} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_is_short_and_says_what_it_is_for(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert ast.get_docstring(ast.parse(text))


def test_the_pytest_plugin_is_short_and_imports_pytest_alone_at_first():
    text = PLUGIN.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    tree = ast.parse(text)
    first = [n for node in tree.body for n in ast.walk(node)
             if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    assert [a.name for n in first if isinstance(n, ast.Import) for a in n.names] == [
        "sys", "pytest"]
    assert not any(isinstance(n, ast.ImportFrom) for n in first)
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("module", [tn, tn.nn, tn.nn.init, tn.optim, tn.rules, tn.data,
                                    tn.data.augment, tn.testing, tn.train],
                         ids=lambda m: m.__name__)
def test_public_names_are_sorted_documented_and_there(module):
    assert module.__all__ == sorted(module.__all__)
    for name in module.__all__:
        value = getattr(module, name)
        assert not callable(value) or value.__doc__, f"{name} has no docstring"


def test_import_brings_numpy_alone():
    code = ("import sys, tinygrad_nn; print(*sorted({m.partition('.')[0] for m in sys.modules}"
            " & {'PIL', 'h5py', 'numba', 'threadpoolctl', 'matplotlib', 'pytest', "
            "'hypothesis'}))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == ""


def test_docstring_examples_run():
    failed, rules = 0, dict(RULES)
    for path in FILES:
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(p for p in parts if p != "__init__")
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            assert error.name in THIRD_PARTY        # an extra that is not installed
            continue
        failed += doctest.testmod(module).failed
    RULES.clear()                       # the examples add operations to the table
    RULES.update(rules)
    assert failed == 0
