"""A module's text as a tree: where a function stands in it, and what its names are bound by."""

from __future__ import annotations

import ast
import copy
import inspect
import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, ModuleType
from typing import Any

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_COMPOUND = (ast.If, ast.Try, ast.TryStar, ast.With, ast.For, ast.While)


@dataclass(frozen=True)
class Module:
    """The text of a module, parsed; without docstrings.

    Attributes:
        bindings: per name the statements of the module that bind or fill it, in order.
        definitions: the functions and classes by the line that they begin in.
    """

    tree: ast.Module
    definitions: dict[int, list[Definition]]
    bindings: dict[str, list[ast.stmt]]
    _texts: dict[tuple[int, int], str] = field(default_factory=dict)

    def text(self, node: Definition | ast.stmt, decorators: int = 0) -> str:
        """A part of the module as text, in a form of its own, without the first decorators."""
        key = (id(node), decorators)
        if key not in self._texts:
            if isinstance(node, _DEFINITIONS) and decorators:
                node = copy.copy(node)
                node.decorator_list = node.decorator_list[decorators:]
            self._texts[key] = ast.unparse(node)
        return self._texts[key]

    def function(self, code: CodeType) -> Definition | None:
        """Where the function that has this code is defined; None where it is not found."""
        begins = self.definitions.get(code.co_firstlineno, [])
        named = [node for node in begins if getattr(node, "name", "<lambda>") == code.co_name]
        if len(named) < 2:
            return named[0] if named else None
        # Lambdas of one line: the innermost that holds the first of the code's own positions.
        places = [(line, at) for line, _, at, _ in code.co_positions() if line and at is not None]
        start = next((place for place in places if place > (code.co_firstlineno, 0)), None)
        holding = [node for node in named if start and _holds(node, start)]
        return max(holding, key=lambda node: (node.lineno, node.col_offset), default=None)

    def class_(self, qualified: str) -> Definition | None:
        """The last class of this qualified name; None where it is not found."""
        body: list[ast.stmt] = self.tree.body
        found: Definition | None = None
        for part in qualified.split("."):
            if part == "<locals>":
                continue
            named = [s for s in _flat(body) if isinstance(s, _DEFINITIONS) and s.name == part]
            if not named:
                return None
            found, body = named[-1], named[-1].body
        return found


def module_of(defined: Any) -> Module | None:
    """The module that a function or class is defined in; None where it has no text."""
    try:
        file = inspect.getsourcefile(defined)
    except TypeError:
        return None
    if file is None:
        return None
    linecache.checkcache(file)
    found = inspect.getmodule(defined)
    lines = linecache.getlines(file, found.__dict__ if isinstance(found, ModuleType) else None)
    try:
        return _parsed("".join(lines)) if lines else None
    except SyntaxError:  # it was changed since it was imported
        return None


@lru_cache(maxsize=128)
def _parsed(text: str) -> Module:
    tree: ast.Module = ast.fix_missing_locations(_Undocumented().visit(ast.parse(text)))
    bindings: dict[str, list[ast.stmt]] = {}
    for statement in _flat(tree.body):
        for bound in _bound(statement):
            bindings.setdefault(bound, []).append(statement)
    definitions: dict[int, list[Definition]] = {}
    for node in _definitions(tree):
        definitions.setdefault(_first_line(node), []).append(node)
    return Module(tree, definitions, bindings)


class _Undocumented(ast.NodeTransformer):
    """Drops docstrings, and other strings that stand as statements."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        super().generic_visit(node)
        body = getattr(node, "body", None)
        if isinstance(body, list) and not body and not isinstance(node, ast.Module):
            node.body = [ast.Pass()]  # type: ignore[attr-defined]  # it has one
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else self.generic_visit(node)


def _flat(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, and those inside conditions and the like."""
    for statement in statements:
        yield statement
        if isinstance(statement, _COMPOUND):
            for _, value in ast.iter_fields(statement):
                inner = value if isinstance(value, list) else []
                yield from _flat([one for one in inner if isinstance(one, ast.stmt)])
                for one in inner:
                    if isinstance(one, ast.ExceptHandler):
                        yield from _flat(one.body)


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement binds, or whose value it changes."""
    if isinstance(statement, _DEFINITIONS):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign | ast.For):
        targets = [statement.target]
    elif isinstance(statement, ast.With):
        targets = [item.optional_vars for item in statement.items if item.optional_vars]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        called = statement.value.func
        # `TABLE.update(...)`; a bare call of a function changes nothing that has a name.
        targets = [called.value] if isinstance(called, ast.Attribute) else []
    return {name for target in targets for name in _names(target)}


def _names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from _names(one)
    elif isinstance(target, ast.Starred | ast.Subscript | ast.Attribute):
        yield from _names(target.value)


def _definitions(tree: ast.Module) -> Iterator[Definition]:
    for node in ast.walk(tree):
        if isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            yield node


def _first_line(node: Definition) -> int:
    decorators = [] if isinstance(node, ast.Lambda) else node.decorator_list
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _holds(node: Definition, place: tuple[int, int]) -> bool:
    end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
    return (node.lineno, node.col_offset) <= place < end
