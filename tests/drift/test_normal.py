"""What is code of a function, and what is not."""

import functools
import sys
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count

import pytest

from metaxy_core.drift import Unreadable, normal_form

_NUMBERS = count()

MODULE = '''
"""A module."""
from __future__ import annotations
import json, math as m
from os import path, sep

SCALE = 2  # pixels
TABLE = {}
TABLE["a"] = SCALE
UNUSED = 3

def helper(x):
    """Help."""
    return deeper(x) + SCALE

def deeper(x):
    return m.floor(x)

def other(x):
    return json.dumps(x)

class Config:
    size: int = 4
    "The size."

def function(rows, config: Config):
    """Do it."""
    # carefully
    other = 1
    return helper(rows), TABLE, path.join("a", 'b'), other
'''


@pytest.fixture
def form(tmp_path, monkeypatch):
    """The normal form of the function in a module of this text."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def of(text, name="function", by=()):
        number = next(_NUMBERS)
        file = tmp_path / f"normal_{number}.py"
        file.write_text(textwrap.dedent(text))
        spec = spec_from_file_location(file.stem, file)
        module = module_from_spec(spec)
        monkeypatch.setitem(sys.modules, file.stem, module)
        spec.loader.exec_module(module)
        registrars = [getattr(module, one) for one in by]
        return normal_form(getattr(module, name), registrars).replace(file.stem, "module")

    return of


def test_a_function_comes_with_the_helpers_it_uses_and_without_words(form):
    assert form(MODULE).splitlines() == [
        "class Config:",
        "    size: int = 4",
        "SCALE = 2",
        "TABLE = {}",
        "TABLE['a'] = SCALE",
        "def deeper(x):",
        "    return m.floor(x)",
        "def helper(x):",
        "    return deeper(x) + SCALE",
        "import math as m",
        "from os import path",
        "def function(rows, config: Config):",
        "    other = 1",
        "    return (helper(rows), TABLE, path.join('a', 'b'), other)",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# carefully", "# with great care"),
        ('"""Do it."""', '"""Do it\n    well."""'),
        ('"""Help."""', ""),
        ('"The size."', '"How large."'),
        ("UNUSED = 3", "UNUSED = 4"),
        ("return json.dumps(x)", "return x"),
        ("import json, math as m", "import math as m\nimport json"),
        ("from os import path, sep", "from os import (\n    sep,\n    path,\n)"),
        ("SCALE = 2  # pixels", "SCALE = (\n    0x2\n)"),
        ("path.join(\"a\", 'b')", "path.join(\n        'a',\n        \"b\",\n    )"),
    ],
)
def test_what_does_not_change_results_is_not_in_it(form, old, new):
    assert old in MODULE
    assert form(MODULE.replace(old, new)) == form(MODULE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SCALE = 2", "SCALE = 3"),
        ("m.floor", "m.ceil"),
        ('TABLE["a"] = SCALE', 'TABLE["b"] = SCALE'),
        ("import json, math as m", "import json, cmath as m; m.floor = round"),
        ("size: int = 4", "size: int = 5"),
        ("return helper(rows)", "return -helper(rows)"),
    ],
)
def test_what_may_change_results_is_in_it(form, old, new):
    assert form(MODULE.replace(old, new)) != form(MODULE)


def test_the_order_of_a_module_does_not_matter(form):
    one = "def a(x):\n    return x\n\ndef b(x):\n    return x + 1\n\n"
    other = "def b(x):\n    return x + 1\n\ndef a(x):\n    return x\n\n"
    function = "def function(x):\n    return a(b(x))\n"
    assert form(one + function) == form(other + function)


def test_decorators_count_unless_they_only_register(form):
    text = """
    def registers(retries):
        return lambda function: function
    def doubled(function):
        return function
    {above}@registers({retries})
    {below}def function(x):
        return x
    """
    plain = form(text.format(above="", retries=1, below=""), by=["registers"])
    assert plain == "def function(x):\n    return x"
    moved = form(text.format(above="@doubled\n    ", retries=2, below=""), by=["registers"])
    assert moved == plain
    below = form(text.format(above="", retries=1, below="@doubled\n    "), by=["registers"])
    assert below != plain


def test_a_wrapped_function_is_what_is_inside(form):
    text = """
    import functools
    def wrapper(function):
        @functools.wraps(function)
        def inner(*args):
            return function(*args)
        return inner
    @wrapper
    def function(x):
        return x + 1
    """
    assert form(text).endswith("@wrapper\ndef function(x):\n    return x + 1")
    assert "def inner" in form(text)


def test_features_are_declared_elsewhere_than_in_code(form):
    text = """
    from metaxy_core import FeatureSpec, FeatureGraph, FieldSpec
    VIDEO = FeatureSpec("video", fields=[FieldSpec("audio", code_version={code})])
    GRAPH = FeatureGraph([VIDEO])
    def function(store):
        return store.read(VIDEO), GRAPH
    """
    assert form(text.format(code=1)) == form(text.format(code=2))


def test_lambdas_of_one_line_are_told_apart(form):
    text = "both = [lambda x: x + 1, lambda x: x + 2]\nfunction = both[1]\n"
    assert form(text) == "lambda x: x + 2"


def test_a_function_inside_another_brings_what_it_takes_from_there(form):
    text = """
    def make(size, model):
        def half(x):
            return x / 2
        def function(x):
            return half(x) * size + model
        return function
    function = make({size}, object())
    """
    assert form(text.format(size=3)).splitlines() == [
        "def half(x):",
        "    return x / 2",
        "size = 3",
        "def function(x):",
        "    return half(x) * size + model",
    ]


def test_methods_partials_and_callable_objects_have_a_form(form):
    text = """
    import functools
    class Model:
        def __call__(self, x):
            return x
        def run(self, x):
            return x + 1
    def add(x, y):
        return x + y
    method = Model().run
    object_ = Model()
    partial = functools.partial(add, y=2)
    """
    assert form(text, "method") == form(text, "object_")
    assert form(text, "object_").startswith("class Model:")
    assert form(text, "partial") == "def add(x, y):\n    return x + y\npartial(y=2)"


def test_a_name_of_the_function_around_that_is_assigned_is_no_obstacle(form):
    text = """
    def make():
        seen = 0
        def function(x):
            nonlocal seen
            seen += 1
            return helper(x)
        return function
    def helper(x):
        return x
    function = make()
    """
    assert form(text).startswith("def helper(x):\n    return x\nseen = 0\ndef function(x):")


def test_a_function_that_calls_itself_ends(form):
    text = "def function(n):\n    return n and even(n - 1)\ndef even(n):\n    return function(n)\n"
    assert form(text).count("def ") == 2


def test_a_function_without_a_file_says_so():
    space = {}
    exec("def typed(x): return x", space)
    with pytest.raises(Unreadable, match="typed has no source file"):
        normal_form(space["typed"])
    with pytest.raises(Unreadable, match="no source file"):
        normal_form(functools.partial(len))
