"""Wrong versions of a module: one small change each, as compiled code.

What is changed: comparisons, `and` / `or` / `not`, conditions, numbers and booleans by one, arithmetic, and what is
returned. What is not: texts, annotations, decorators, slices of a message, and the keywords of a class.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

OTHER: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
}
SKIPPED = frozenset({"annotation", "returns", "decorator_list", "format_spec", "type_params"})


class Mutant(NamedTuple):
    """`before` and `after` are the changed piece's text."""

    line: int
    before: str
    after: str
    code: CodeType


def mutants(path: Path) -> Iterator[Mutant]:
    """Every wrong version of this file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node, parent, field, index in list(_places(tree)):
        for other in _alternatives(node):
            _put(parent, field, index, ast.copy_location(other, node))
            code = compile(ast.fix_missing_locations(tree), str(path), "exec")
            _put(parent, field, index, node)
            yield Mutant(getattr(node, "lineno", 0), _text(node), _text(other), code)


def _text(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:90]


def _put(parent: ast.AST, field: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _places(parent: ast.AST) -> Iterator[tuple[ast.AST, ast.AST, str, int | None]]:
    """Every expression and return that may be changed, with where it stands."""
    for field, value in ast.iter_fields(parent):
        if field in SKIPPED or (field == "keywords" and isinstance(parent, ast.ClassDef)):
            continue
        if field == "slice" and isinstance(value, ast.Slice):
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(node, ast.AST):
                yield node, parent, field, index
                yield from _places(node)


def _alternatives(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            other = deepcopy(node)
            other.ops[place] = _new(OTHER[type(operator)])
            yield other
    elif isinstance(node, ast.BoolOp | ast.BinOp) and type(node.op) in OTHER:
        changed = deepcopy(node)
        changed.op = _new(OTHER[type(node.op)])
        yield changed
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield deepcopy(node.operand)
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        turned = deepcopy(node)
        turned.test = ast.UnaryOp(ast.Not(), turned.test)
        yield turned
    elif isinstance(node, ast.Return) and node.value is not None and _text(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.Constant):
        yield from map(ast.Constant, _numbers(node.value))


def _new(kind: type[ast.AST]) -> Any:
    return kind()


def _numbers(value: object) -> list[bool] | list[float]:
    if isinstance(value, bool):
        return [not value]
    return [value + 1, value - 1] if isinstance(value, int | float) else []
