"""The import law: a package imports only what stands to its left."""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import elboroom
from elboroom.cli.commands import COMMANDS

LAW = (
    "errors untrusted randomness | html_table | config | device | data | model | training infer | "
    "evaluation | figures | runs | imputation | exports | explorer | cli estimators"
)
STRANGERS = {"infer": "training", "evaluation": "training"}
"""Packages that stand where they might know the other, and must not."""

ROOMS = [room.split() for room in LAW.split("|")]
PLACE = {package: number for number, room in enumerate(ROOMS) for package in room}
OUTSIDE = {"", "__main__"}  # the public names and `python -m elboroom`
ONLY_OF_OURS = {"figures.plots": {"errors", "figures.plots"}}
ONLY_OF_OTHERS = {
    "figures.plots": {"matplotlib", "numpy"},
    "config": {"tyro"},
    "errors": set[str](),
    "html_table": set[str](),
    "untrusted": set[str](),
    "infer.diagnostics": {"torch"},
    "runs.atomic": set[str](),
    "runs.lock": {"filelock"},
    "cli.signals": set[str](),
    "cli.terminal": {"rich"},
}
AT_THE_TOP = {
    "cli.main": {
        *("tyro", "elboroom.config", "elboroom.errors", "elboroom.cli.signals"),
        *("elboroom.cli.commands", "elboroom.cli.parsing", "elboroom.cli.presets"),
    },
    "cli.commands": {
        *("tyro", "tyro.conf", "elboroom", "elboroom.config", "elboroom.config.kinds"),
        *("elboroom.cli.presets",),
    },
    "cli.completion": {"shtab", "tyro.conf", "elboroom.config.kinds", "elboroom.cli.parsing"},
    "cli.parsing": {"tyro", "tyro.conf"},
    "cli.presets": {"elboroom.config", "elboroom.config.data"},
}

ROOT = Path(elboroom.__file__).parent
Sources = Mapping[str, str]


def read() -> Sources:
    """The source of every module, by its name within elboroom."""
    paths = {p.relative_to(ROOT).with_suffix(""): p for p in ROOT.rglob("*.py")}
    return {
        ".".join(path.parts).removesuffix("__init__").removesuffix("."): p.read_text("utf-8")
        for path, p in paths.items()
    }


@cache
def import_statements(source: str, *, top: bool) -> list[ast.Import | ast.ImportFrom]:
    tree = ast.parse(source)
    nodes = tree.body if top else ast.walk(tree)
    return [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]


def imports(source: str, known: Sources, *, top: bool = False) -> Iterator[str]:
    """Full names of the modules that `source` imports; at its top level only, if asked."""
    for node in import_statements(source, top=top):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            assert node.module is not None, "relative imports are not used"
            assert node.level == 0, "relative imports are not used"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = full.removeprefix("elboroom.") in known
                if full != "elboroom.__version__" or top:
                    yield full if full.startswith("elboroom.") and is_module else node.module


def rules(table: Mapping[str, set[str]], module: str) -> Iterator[set[str]]:
    """Those that hold for `module` or for a package around it."""
    yield from (rule for name, rule in table.items() if is_within(module, {name}))


def is_within(module: str, names: Iterable[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def breach(module: str, imported: str) -> bool:
    """Whether `module` may not import `imported`."""
    name = imported.split(".")[0]
    if name in sys.stdlib_module_names:
        return False
    if name != "elboroom":
        return any(name not in rule for rule in rules(ONLY_OF_OTHERS, module))
    target = imported.removeprefix("elboroom").removeprefix(".")
    if target in OUTSIDE or any(
        not is_within(target, rule) for rule in rules(ONLY_OF_OURS, module)
    ):
        return True
    mine, other = module.split(".")[0], target.split(".")[0]
    return mine != other and (PLACE[other] >= PLACE[mine] or STRANGERS.get(mine) == other)


def breaches(sources: Sources) -> list[str]:
    found = {
        f"{module} imports {imported}"
        for module, source in sources.items()
        if module not in OUTSIDE
        for imported in imports(source, sources)
        if breach(module, imported)
    }
    return sorted(found)


def graph(sources: Sources) -> dict[str, set[str]]:
    return {
        module: {i.removeprefix("elboroom.") for i in imports(source, sources) if "elboroom." in i}
        for module, source in sources.items()
        if module not in OUTSIDE
    }


def rooms(sources: Sources) -> dict[str, set[str]]:
    """The same between what lies directly within a package: its files and its packages."""
    found: dict[str, set[str]] = {}
    for module, imported in graph(sources).items():
        for other in imported:
            mine, theirs = module.split("."), other.split(".")
            depth = next(
                (i for i, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b), 0
            )
            if depth:  # both lie within one package, in different rooms of it
                room, other_room = ".".join(mine[: depth + 1]), ".".join(theirs[: depth + 1])
                found.setdefault(room, set()).add(other_room)
    return found


def test_every_module_has_a_place_in_the_law():
    assert {module.split(".")[0] for module in read()} - OUTSIDE == PLACE.keys()


def test_the_top_level_can_be_seen_at_a_glance():
    packages = [path for path in ROOT.iterdir() if (path / "__init__.py").exists()]
    files = [path for path in ROOT.iterdir() if path.is_file()]
    assert len(packages) <= 14
    assert len(files) <= 7


def test_a_package_imports_only_what_stands_to_its_left():
    assert breaches(read()) == []


@pytest.mark.parametrize("layout", [graph, rooms])
def test_there_is_no_circle(layout):
    list(TopologicalSorter(layout(read())).static_order())


@pytest.mark.parametrize("module", AT_THE_TOP)
def test_the_command_line_imports_nothing_heavy_at_its_top(module: str):
    sources = read()
    found = set(imports(sources[module], sources, top=True))
    light = {i for i in found if i.split(".")[0] not in sys.stdlib_module_names}
    assert light == AT_THE_TOP[module]


@pytest.mark.parametrize(
    ("module", "line", "imported"),
    [
        ("errors", "from elboroom.config import Config", "config"),
        ("config", "import torch", "torch"),
        ("data.formats.idx", "from elboroom.model import VAE", "model"),
        ("model.vae", "from elboroom.training import objective", "training.objective"),
        ("training.loop", "def f(): import elboroom.runs", "runs"),
        ("training.step", "from elboroom.infer import hmc", "infer.hmc"),
        ("infer.svi", "from elboroom.training import train", "training"),
        ("infer.target", "from elboroom.runs import Run", "runs"),
        ("evaluation.likelihood", "from elboroom.training import train", "training"),
        ("evaluation.likelihood", "from elboroom.runs import Run", "runs"),
        ("runs.atomic", "import numpy.linalg", "numpy.linalg"),
        ("runs.run", "from elboroom.cli import train", "cli.train"),
        ("figures.plots.style", "import torch", "torch"),
        ("figures.plots.style", "import elboroom.data", "data"),
        ("figures.gallery", "from elboroom import VAE", ""),
    ],
)
def test_a_planted_breach_is_found(module: str, line: str, imported: str):
    sources = dict(read())
    sources[module] += f"\n{line}\n"
    name = imported if imported in ("torch", "numpy.linalg") else f"elboroom.{imported}".strip(".")
    assert breaches(sources) == [f"{module} imports {name}"]


@pytest.mark.parametrize(
    ("module", "line", "layout"),
    [
        ("cli.signals", "from elboroom.cli import train", graph),
        ("infer.target", "from elboroom.infer.fitting import expectation_nodes", rooms),
    ],
)
def test_a_planted_circle_is_found(module: str, line: str, layout):
    sources = dict(read())
    sources[module] += f"\n{line}\n"
    with pytest.raises(CycleError):
        list(TopologicalSorter(layout(sources)).static_order())


HEAVY = {
    *("torch", "torch._dynamo", "numpy", "matplotlib", "scipy", "PIL", "safetensors", "jinja2"),
}


def loaded_after(code: str) -> set[str]:
    """The heavy libraries that a fresh Python has loaded after `code`."""
    program = f"import sys\n{code}\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return HEAVY & set(done.stderr.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import elboroom") == set()


def test_the_probe_sees_what_is_loaded():
    assert loaded_after("import numpy") == {"numpy"}


def test_help_and_completion_load_nothing_heavy():
    asked = [["--help"], *([kind.__name__.lower(), "--help"] for kind in COMMANDS)]
    code = f"""
from elboroom.cli.main import main
for words in {[*asked, ["completion", "bash"]]}:
    try:
        main(words)
    except SystemExit as end:
        assert end.code == 0"""
    assert loaded_after(code) == set()


def test_a_process_that_reads_pictures_starts_with_little():
    code = """
import elboroom.data.formats.picture_process
assert "tyro" not in sys.modules"""
    assert loaded_after(code) == {"numpy", "PIL"}


def test_training_loads_only_what_it_needs():
    code = """
import elboroom.cli.train
import torch
from elboroom.training.optimisers import Adam
w = torch.nn.Parameter(torch.ones(3))
adam = Adam([w])
adam.zero_grad()
w.sum().backward()
adam.step(0.1)
assert (w < 1).all()"""
    # a step of PyTorch's own Adam would load the compiler
    assert loaded_after(code) == {"torch", "numpy", "safetensors"}
