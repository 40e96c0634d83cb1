"""Mutants of a module: its source with one small change each, the kind of change that a slip would be."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
}
PLAIN = {"property", "staticmethod", "classmethod"}
NAMES = {"min": "max", "max": "min", "all": "any", "any": "all"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed module; `what` reads as "line 40: `a <= b` became `a < b` in if a <= b:".

    `lines` are those of the statement that was changed and `path` the names down to its function, as Account.margin;
    both are empty for what runs when the module is imported.
    """

    line: int
    what: str
    source: str
    lines: range
    path: tuple[str, ...]


def mutants_of(*, source: str) -> Iterator[Mutant]:
    """Yield every mutant of `source`, in the order of its nodes; annotations and docstrings are left alone."""
    tree = ast.parse(source)
    lines = source.splitlines()
    options = {
        id(keyword.value) for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for keyword in node.keywords
    }
    places = _places(tree)
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in options:
            continue  # frozen=True and kw_only=True of a struct are no decisions.
        for change in range(_changes(node)):
            changed = copy.deepcopy(tree)
            target = next(other for place, other in enumerate(ast.walk(changed)) if place == number)
            before = ast.unparse(target)
            _apply(target, change)
            line = getattr(node, "lineno", 0)
            what = f"line {line}: `{before}` became `{ast.unparse(target)}` in {lines[line - 1].strip()}"
            yield Mutant(line, what, ast.unparse(changed), *places.get(id(node), (range(0), ())))


def _places(tree: ast.Module) -> dict[int, tuple[range, tuple[str, ...]]]:
    """The innermost statement of every node that lies in the body of a function, and where that function stands."""
    places: dict[int, tuple[range, tuple[str, ...]]] = {}
    for path, function in _functions(tree.body, ()):
        # A walk comes to a statement before those within it.
        for statement in (inner for part in function.body for inner in ast.walk(part)):
            if isinstance(statement, ast.stmt):
                places |= {id(node): (_lines(statement), path) for node in ast.walk(statement)}
    return places


def _functions(body: list[ast.stmt], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ast.FunctionDef]]:
    """Functions and methods whose code can be exchanged: what a decorator keeps is not among them."""
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            yield from _functions(statement.body, (*path, statement.name))
        elif (
            isinstance(statement, ast.FunctionDef) and {ast.unparse(name) for name in statement.decorator_list} <= PLAIN
        ):
            yield (*path, statement.name), statement


def _lines(statement: ast.stmt) -> range:
    body = getattr(statement, "body", None)
    last = max(body[0].lineno - 1, statement.lineno) if body else statement.end_lineno or statement.lineno
    return range(statement.lineno, last + 1)


def _changes(node: ast.AST) -> int:
    if isinstance(node, ast.Compare):
        return len(COMPARISONS[type(node.ops[0])])
    if isinstance(node, ast.BinOp | ast.AugAssign):
        return 1 if type(node.op) in ARITHMETIC else 0
    if isinstance(node, ast.BoolOp):
        return 1
    if isinstance(node, ast.Call):
        return 1 if isinstance(node.func, ast.Name) and node.func.id in NAMES else 0
    if isinstance(node, ast.IfExp | ast.If | ast.While):
        return 1
    if isinstance(node, ast.Constant):
        return 1 if isinstance(node.value, bool | int) else 0
    return 1 if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not) else 0


def _apply(node: ast.AST, change: int) -> None:
    if isinstance(node, ast.Compare):
        node.ops[0] = COMPARISONS[type(node.ops[0])][change]()
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        node.op = ARITHMETIC[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        node.func.id = NAMES[node.func.id]
    elif isinstance(node, ast.IfExp | ast.If | ast.While):
        node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
    elif isinstance(node, ast.Constant):
        node.value = (not node.value) if isinstance(node.value, bool) else int(str(node.value)) + 1
    elif isinstance(node, ast.UnaryOp):
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else ast.Not()
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(op=ast.Not(), operand=node.operand)
