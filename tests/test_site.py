"""The pages of the site: every public name and every page has its place."""

import re
from importlib import import_module

import pytest

from tests.support.reference import SECTIONS, listed
from tests.support.repository import ROOT

DOCS = ROOT / "docs"
DESCRIBED = {"PRESETS", "__version__", "figures", "infer"}  # no page of their own


def test_the_reference_has_the_public_names():
    shown = {name for _, section in SECTIONS for name in listed(section)}
    modules = [import_module(module) for module, _ in SECTIONS]
    assert shown == {name for module in modules for name in module.__all__} - DESCRIBED
    assert len(modules) == 8


@pytest.mark.parametrize(("module", "section"), SECTIONS, ids=[module for module, _ in SECTIONS])
def test_a_name_stands_under_a_module_that_has_it(module: str, section: str):
    assert listed(section) <= set(import_module(module).__all__)


def test_every_page_is_in_a_table_of_contents():
    contents = re.findall(r"^:::{toctree}$(.*?)^:::$", (DOCS / "index.md").read_text(), re.M | re.S)
    named = {page for block in contents for page in re.findall(r"^([a-z][\w/-]+)$", block, re.M)}
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    assert named == (pages | {"api/index"}) - {"index"}
