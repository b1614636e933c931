"""The language of docstrings: a verb for a function, a noun phrase for a class or a property."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.repository import ROOT

SOURCES = [*sorted((ROOT / "src" / "elboroom").iterdir()), ROOT / "benchmarks"]
NEVER = {
    *("That", "What", "Whether", "As", "Of", "Where", "How", "Which", "With", "From", "Its"),
}
NO_VERBS = {
    *("The", "A", "An", "All", "Any", "Each", "Every", "Some", "Many", "Most", "Both", "Only"),
    *("One", "Two", "Three", "No", "None", "Nothing", "These", "Those", "This", "It", "So", "By"),
    *("In", "On", "At", "For", "To", "If", "When", "Once", "While", "Until", "Beside", "Same"),
}
"""First words of noun phrases and of clauses, which a function's docstring does not begin with."""
NAMED_AS_NOUNS = {"property", "cached_property", "classproperty"}

Documented = ast.FunctionDef | ast.ClassDef


def documented(source: str) -> Iterator[tuple[Documented, str]]:
    """The functions and classes that have a docstring, each with its first word."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Documented) and (text := ast.get_docstring(node)):
            yield node, text.split()[0].strip(",.:;")


def is_noun(node: Documented) -> bool:
    """Whether it is a class or a property."""
    names = {getattr(d, "attr", getattr(d, "id", "")) for d in node.decorator_list}
    return isinstance(node, ast.ClassDef) or bool(names & NAMED_AS_NOUNS)


def misnamed(source: str) -> list[str]:
    """Name the docstrings that begin as none should."""
    return [
        f"{node.name}, line {node.lineno}: {word}"
        for node, word in documented(source)
        if word in NEVER or not (is_noun(node) or (word.isalpha() and word not in NO_VERBS))
    ]


@pytest.mark.parametrize("place", SOURCES, ids=lambda path: path.stem)
def test_docstrings_begin_with_a_verb_or_a_noun_phrase(place: Path):
    paths = [place] if place.is_file() else sorted(place.rglob("*.py"))
    found = {str(p.relative_to(ROOT)): misnamed(p.read_text()) for p in paths if p.suffix == ".py"}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "source",
    [
        'def f():\n    """That x is positive."""',
        'def f():\n    """The mean of x."""',
        'def f():\n    """log p(x), in nats."""\n\n\ndef g():\n    """(K, B) → (B,)."""',
        'class C:\n    """What is known."""',
        'class C:\n    @property\n    def p(self):\n        """Whether x is positive."""',
    ],
)
def test_a_planted_clause_is_found(source: str):
    assert misnamed(source)


def test_verbs_and_noun_phrases_pass():
    source = '''
class C:
    """The mean and its error."""

    @property
    def mean(self):
        """E[x], (B, D)."""

    def sample(self):
        """Draw from q."""
'''
    assert misnamed(source) == []
