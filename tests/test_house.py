"""The limits of the house style that no linter knows; see docs/architecture.md."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "farthing"
MODULES = sorted(
    path
    for path in SOURCE.rglob("*.py")
    if not path.read_text().startswith("# Generated")  # generated data is exempt on line 1
)
VAGUE = {"utils", "helpers", "common", "misc", "base"}


def _name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_module_is_named_by_its_noun_and_at_most_400_lines(path):
    assert path.stem.lstrip("_") not in VAGUE
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_a_function_is_at_most_60_lines(path):
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1}"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > 60
    ]
    assert long == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_float_means_money(path):
    money = {"cost", "price", "usd", "total", "amount", "spend", "nanodollars", "baseline"}
    floats = [
        f"{node.target.id}: float"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.annotation, ast.Name)
        and node.annotation.id == "float"
        and money & set(node.target.id.split("_"))
    ]
    assert floats == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_no_module_holds_mutable_state(path):
    """No `global`, and no lowercase module-level name bound to a list, dict or set."""
    tree = ast.parse(path.read_text())
    state = [n.lineno for n in ast.walk(tree) if isinstance(n, ast.Global)]
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        state += [
            node.lineno
            for target in targets
            if isinstance(target, ast.Name)
            and target.id.islower()
            and not target.id.startswith("__")
            and isinstance(node.value, ast.List | ast.Dict | ast.Set)
        ]
    assert state == []


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_except_exception_stands_only_at_the_outer_edge(path):
    """An edge says so with a comment that begins `# edge:` on the line of the handler."""
    lines = path.read_text().splitlines()
    broad = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler)
        and (
            node.type is None
            or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
        )
        and "# edge:" not in lines[node.lineno - 1]
    ]
    assert broad == []


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "__init__.py"], ids=_name)
def test_each_package_writes_out_what_it_exports(path):
    assert "__all__" in path.read_text()
