"""The normal form of a function: what of its code can change its results, as text.

Its source without comments, docstrings and formatting, after the helpers, classes, constants and
imports of its own module that it uses, directly or through others, sorted by name. What another
module does is not followed: only its name is there. Declarations of features are left out: graph
diffs tell those.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import symtable
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from metaxy_core.drift.module import Definition, Module, module_of
from metaxy_core.graph import FeatureGraph, Graph
from metaxy_core.spec import FeatureSpec
from metaxy_core.spec.value import Value

_PLAIN = (str, bytes, int, float, complex, bool, type(None), type(...))


class Unreadable(Exception):  # noqa: N818  # not an error: an answer
    """There is no source of a function; the message says why."""


def normal_form(function: Callable[..., Any], by: Sequence[Any] = ()) -> str:
    """Write what of a function's code can change its results.

    Args:
        by: decorators that only register the function; they, and those above them, are left out.

    Raises:
        Unreadable: the function has no source: it is built in, compiled, or was typed in.

    >>> from calendar import isleap
    >>> print(normal_form(isleap))
    def isleap(year):
        return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    """
    bound = []
    while isinstance(function, functools.partial):
        given = [*map(_plain, function.args), *map(_named, function.keywords.items())]
        bound.append(f"partial({', '.join(given)})")
        function = function.func
    written = _Written(tuple(by))
    main = written.definition(_defined(function))
    helpers = [text for _, text in sorted(written.texts.items())]
    return "\n".join([*filter(None, helpers), main, *bound])


def _defined(function: Any) -> Any:
    """The function or class whose source it is; a method is its whole class, which it may use."""
    owner = getattr(function, "__self__", None) if inspect.ismethod(function) else None
    if owner is not None:
        return owner if isinstance(owner, type) else type(owner)
    found = inspect.unwrap(function)
    return found if isinstance(found, FunctionType | type) else type(found)


@dataclass
class _Written:
    """What was written of a module so far.

    Attributes:
        texts: per name of the module, or of the functions around, what is bound to it.
    """

    by: tuple[Any, ...]
    texts: dict[str, str] = field(default_factory=dict)

    def definition(self, defined: Any) -> str:
        """The function or class itself; what it uses goes to `texts`.

        Raises:
            Unreadable: there is no source.
        """
        module = module_of(defined)
        name = getattr(defined, "__qualname__", repr(defined))
        if module is None:
            raise Unreadable(f"{name} has no source file")
        code = getattr(defined, "__code__", None)
        node = module.function(code) if isinstance(code, CodeType) else module.class_(name)
        if node is None:
            raise Unreadable(f"{name} is not found in its source file, or no more")
        values = getattr(defined, "__globals__", None) or vars(inspect.getmodule(defined) or object)
        text = self._text(module, node, values)
        around = _closure(defined)
        if not isinstance(node, ast.Lambda):
            self.texts.setdefault(node.name, "")  # a function that calls itself
        for used in sorted(_used(text)):
            if used in around:
                self._around(used, around[used], module)
            else:
                self._helper(used, module, values)
        if not isinstance(node, ast.Lambda) and not self.texts[node.name]:
            del self.texts[node.name]
        return text

    def _helper(self, name: str, module: Module, values: Mapping[str, Any]) -> None:
        if name in self.texts or name not in module.bindings or _is_declaration(values.get(name)):
            return
        self.texts[name] = ""
        self.texts[name] = "\n".join(
            _import(name, statement)
            if isinstance(statement, ast.Import | ast.ImportFrom)
            else self._text(module, statement, values)
            for statement in module.bindings[name]
        )
        for used in sorted(_used(self.texts[name])):
            self._helper(used, module, values)

    def _around(self, name: str, value: Any, module: Module) -> None:
        """A name of a function around this one: its value, where that can be written."""
        if name in self.texts or _is_declaration(value):
            return
        self.texts[name] = ""
        inner = inspect.unwrap(value) if isinstance(value, FunctionType) else value
        if isinstance(inner, FunctionType | type) and module_of(inner) is module:
            self.texts[name] = self.definition(inner)
        elif (text := _literal(value)) is not None:
            self.texts[name] = f"{name} = {text}"

    def _text(self, module: Module, node: Definition | ast.stmt, values: Mapping[str, Any]) -> str:
        """A statement as text, without the decorators that register and those above them."""
        above = 0
        for index, decorator in enumerate(getattr(node, "decorator_list", ())):
            if any(_value(decorator, values) is one for one in self.by):
                above = index + 1
        return module.text(node, above)


def _import(name: str, statement: ast.Import | ast.ImportFrom) -> str:
    """The part of an import that binds this name."""
    chosen = [a for a in statement.names if (a.asname or a.name.partition(".")[0]) == name]
    if isinstance(statement, ast.Import):
        return ast.unparse(ast.Import(names=chosen))
    only = ast.ImportFrom(module=statement.module, names=chosen, level=statement.level)
    return ast.unparse(only)


@functools.lru_cache(maxsize=4096)
def _used(text: str) -> frozenset[str]:
    """The names that a text takes from around it, shadowed ones left out."""

    def walk(table: symtable.SymbolTable) -> Iterator[str]:
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (top or symbol.is_global() or symbol.is_free()):
                yield symbol.get_name()
        for inner in table.get_children():
            yield from walk(inner)

    try:
        return frozenset(walk(symtable.symtable(text, "a feature's function", "exec")))
    except SyntaxError:  # a `nonlocal` of the function around it
        nodes = ast.walk(ast.parse(text))
        return frozenset(node.id for node in nodes if isinstance(node, ast.Name))


def _closure(defined: Any) -> dict[str, Any]:
    """What a function has from the functions around it."""
    code = getattr(defined, "__code__", None)
    cells = getattr(defined, "__closure__", None) or ()
    found = {}
    for name, cell in zip(code.co_freevars if code else (), cells, strict=True):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    return found


def _value(decorator: ast.expr, values: Mapping[str, Any]) -> Any:
    """What a decorator is, without calling or looking anything up that could run code."""
    named = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(named, ast.Name):
        return values.get(named.id, getattr(builtins, named.id, None))
    if isinstance(named, ast.Attribute):
        owner = _value(named.value, values)
        return getattr(owner, named.attr, None) if isinstance(owner, ModuleType) else None
    return None


def _is_declaration(value: Any) -> bool:
    """Whether it is a feature, a part of one, or a graph."""
    declared = isinstance(value, Value | Graph | FeatureGraph)
    return declared or (
        isinstance(value, type) and isinstance(vars(value).get("spec"), FeatureSpec)
    )


def _literal(value: Any) -> str | None:
    if isinstance(value, list | tuple) and all(_literal(one) is not None for one in value):
        return repr(value)
    return repr(value) if type(value) in _PLAIN else None


def _plain(value: Any) -> str:
    return _literal(value) or "..."


def _named(pair: tuple[str, Any]) -> str:
    return f"{pair[0]}={_plain(pair[1])}"
