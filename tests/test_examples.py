"""The examples of the reference: every public name has one in its docstring, and it runs."""

import copy
import doctest
import inspect
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.support.reference import SECTIONS, START, listed

NAMES = [(module, name) for module, section in SECTIONS for name in sorted(listed(section))]
PARSER = doctest.DocTestParser()


@pytest.fixture(scope="module")
def start() -> dict[str, Any]:
    """Run the lines of the page that every example goes on from."""
    namespace: dict[str, Any] = {}
    exec(compile(START, "docs/api/index.rst", "exec"), namespace)
    del namespace["__builtins__"]
    return namespace


def copied(namespace: dict[str, Any]) -> dict[str, Any]:
    """Copy everything, so that an example changes no model and no generator of another."""
    shared = {name: value for name, value in namespace.items() if isinstance(value, ModuleType)}
    own = {name: value for name, value in namespace.items() if name not in shared}
    return shared | copy.deepcopy(own)


def lacks(docstring: str | None) -> str:
    """Say what a docstring lacks of an example that shows something; empty if it lacks nothing."""
    found = PARSER.get_examples(docstring or "")
    if not found or "\nExample:\n    >>> " not in inspect.cleandoc(docstring or ""):
        return "it has no section `Example:`"
    if any(example.options for example in found):
        return "it has an option of doctest"
    return "" if any(example.want for example in found) else "it shows no result"


def failures(docstring: str, namespace: dict[str, Any]) -> str:
    """Run the example of a docstring, and return what differs from what it says."""
    test = PARSER.get_doctest(docstring, copied(namespace), "example", None, 0)
    report = list[str]()
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    return "".join(report)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("module", "name"), NAMES, ids=[".".join(each) for each in NAMES])
def test_the_example_of_a_public_name_gives_what_it_says(
    module: str,
    name: str,
    start: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    docstring = getattr(import_module(module), name).__doc__
    lack = lacks(docstring)
    assert not lack, lack
    monkeypatch.chdir(tmp_path)
    report = failures(docstring, start)
    assert not report, report


def test_the_page_shows_the_lines_that_examples_go_on_from(start: dict[str, Any]):
    assert {"data", "model", "x", "mask", "posterior", "generator"} <= set(start)


@pytest.mark.parametrize(
    "planted",
    [
        None,
        "Do it.",
        "Do it.\n\n>>> 1 + 1\n2\n",
        "Do it.\n\nExample:\n    >>> two = 1 + 1\n",
        "Do it.\n\nExample:\n    >>> 1 + 1  # doctest: +SKIP\n    3\n",
        "Do it.\n\nExample:\n    >>> 1 + 1  # doctest: +ELLIPSIS\n    ...\n",
    ],
)
def test_a_docstring_without_an_example_that_shows_something_is_found(planted: str | None):
    assert lacks(planted)


@pytest.mark.parametrize("planted", [">>> x.ndim\n3", ">>> gone.ndim\n4", ">>> print(4)"])
def test_an_example_that_gives_something_else_is_found(planted: str, start: dict[str, Any]):
    assert failures(planted, start)
    assert not failures(">>> x.ndim\n4", start)


def test_an_example_changes_nothing_of_another(start: dict[str, Any]):
    change = ">>> _ = x.zero_(), model.requires_grad_(False), torch.rand(2, generator=generator)\n"
    x, generator = start["x"].clone(), start["generator"].get_state()
    assert not failures(change, start)
    assert torch.equal(start["x"], x)
    assert torch.equal(start["generator"].get_state(), generator)
    assert all(parameter.requires_grad for parameter in start["model"].parameters())
