"""The import law: a module imports only what stands before it."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import elboroom
from elboroom.subcommands import COMMANDS

ORDER: list[set[str]] = [
    {"errors", "version"},
    {"foreign"},
    {"config"},
    {"data"},
    {"layers"},
    {"tangents"},
    {
        "splines",
        "likelihoods",
        "networks",
        "posteriors",
        "adam",
        "randomness",
        "device",
        "threads",
        "diagnostics",
    },
    {"priors"},
    {"model"},
    {"objectives", "memory", "compilation"},
    {"step", "state", "plan"},
    {"patience", "diagnosis"},
    {"symptoms", "guard"},
    {"training"},
    {"pace", "batches", "storage", "tensors", "environment", "marks", "removals"},
    {"checkpoints", "config_file", "lock"},
    {"results"},
    {"runs"},
    {
        *("evaluation", "infer", "figures", "gallery", "report", "interrupt", "progress"),
        "keeper",
        *("methods", "gaps", "calibration", "comparisons", "information", "certificate"),
        *("posterior_file", "result_tables", "terminal"),
        *("explanation", "training_commands", "figure_commands"),
        *("findings", "machine", "doctor", "doctor_command"),
        *("evaluation_commands", "inference_commands"),
    },
    {"subcommands"},
    {"cli"},
]
LAST_BUT_CLI = ORDER[-3]  # these may import each other, without a cycle
PACKAGES = {
    "config",
    "data",
    "likelihoods",
    "posteriors",
    "priors",
    "infer",
    "figures",
}  # so may the modules of one package
NEVER = {
    "evaluation": {"runs"},
    "infer": {"training", "runs"},
    "methods": {"training", "runs"},
    "gaps": {"training", "runs"},
}
ONLY_OF_OURS = {"figures": {"errors"}}
ONLY_OF_OTHERS = {
    "figures": {"matplotlib", "numpy"},
    "config": {"tyro"},
    "errors": set[str](),
    "version": set[str](),
    "diagnostics": {"arviz_stats", "numpy", "torch"},
    "foreign": set[str](),
    "storage": set[str](),
    "interrupt": set[str](),
    "lock": {"filelock"},
    "removals": set[str](),
    "terminal": {"rich"},
}
AT_THE_TOP = {
    "cli": {
        *("tyro", "tyro.conf", "elboroom.config", "elboroom.errors", "elboroom.interrupt"),
        "elboroom.subcommands",
    },
    "subcommands": {"tyro", "tyro.conf", "elboroom.config", "elboroom.version"},
}
OUTSIDE = {"", "__main__"}  # the public names and `python -m elboroom`

ROOT = Path(elboroom.__file__).parent
Sources = Mapping[str, str]


def read() -> Sources:
    """The source of every module, by its name within elboroom."""
    paths = {p.relative_to(ROOT).with_suffix(""): p for p in ROOT.rglob("*.py")}
    return {
        ".".join(path.parts).removesuffix("__init__").removesuffix("."): p.read_text("utf-8")
        for path, p in paths.items()
    }


def imports(source: str, known: Sources, *, top: bool = False) -> Iterator[str]:
    """Full names of the modules that `source` imports; at its top level only, if asked."""
    tree = ast.parse(source)
    for node in tree.body if top else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, "relative imports are not used"
            assert node.level == 0, "relative imports are not used"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                is_module = full.removeprefix("elboroom.") in known
                yield full if full.startswith("elboroom.") and is_module else node.module


def noun(module: str) -> str:
    """The package or module directly below elboroom."""
    return module.split(".")[0]


def rank(module: str) -> int:
    return next(i for i, layer in enumerate(ORDER) if noun(module) in layer)


def breach(module: str, imported: str) -> bool:
    """Whether `module` may not import `imported`."""
    name = imported.split(".")[0]
    if name in sys.stdlib_module_names:
        return False
    if name != "elboroom":
        return name not in ONLY_OF_OTHERS.get(noun(module), {name})
    target = noun(imported.removeprefix("elboroom").removeprefix("."))
    if target == noun(module) and target in PACKAGES:
        return False
    if target in NEVER.get(noun(module), ()) or target in OUTSIDE:
        return True
    if target not in ONLY_OF_OURS.get(noun(module), {target}):
        return True
    beside = {noun(module), target} <= LAST_BUT_CLI
    return rank(target) >= rank(module) and not beside


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


def test_every_module_has_a_place_in_the_order():
    places = set().union(*ORDER)
    assert {noun(module) for module in read()} - OUTSIDE == places


def test_a_module_imports_only_what_stands_before_it():
    assert breaches(read()) == []


def test_no_module_imports_itself_through_others():
    list(TopologicalSorter(graph(read())).static_order())


@pytest.mark.parametrize("module", AT_THE_TOP)
def test_the_command_line_imports_nothing_heavy_at_its_top(module: str):
    sources = read()
    found = set(imports(sources[module], sources, top=True))
    light = {i for i in found if i.split(".")[0] not in sys.stdlib_module_names}
    assert light == AT_THE_TOP[module]


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("errors", "from elboroom.config import Config", "errors imports elboroom.config"),
        ("config", "import torch", "config imports torch"),
        ("data.idx", "from elboroom.model import VAE", "data.idx imports elboroom.model"),
        ("networks", "from elboroom import likelihoods", "networks imports elboroom.likelihoods"),
        ("model", "from elboroom import objectives", "model imports elboroom.objectives"),
        ("training", "def f(): import elboroom.runs", "training imports elboroom.runs"),
        ("storage", "import numpy.linalg", "storage imports numpy.linalg"),
        ("runs", "from elboroom import report", "runs imports elboroom.report"),
        ("evaluation", "from elboroom.runs import Run", "evaluation imports elboroom.runs"),
        ("infer.svi", "from elboroom.training import train", "infer.svi imports elboroom.training"),
        ("figures.style", "import torch", "figures.style imports torch"),
        ("figures.style", "import elboroom.data", "figures.style imports elboroom.data"),
        ("gaps", "from elboroom.runs import Run", "gaps imports elboroom.runs"),
        ("gallery", "from elboroom import VAE", "gallery imports elboroom"),
        (
            "figure_commands",
            "from elboroom.cli import main",
            "figure_commands imports elboroom.cli",
        ),
    ],
)
def test_a_planted_breach_is_found(module: str, line: str, found: str):
    sources = dict(read())
    sources[module] += f"\n{line}\n"
    assert breaches(sources) == [found]


def test_a_planted_cycle_is_found():
    sources = dict(read())
    sources["interrupt"] += "\nfrom elboroom import training_commands\n"
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph(sources)).static_order())


HEAVY = {"torch", "numpy", "matplotlib", "scipy", "PIL", "safetensors", "jinja2"}


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


def test_help_loads_nothing_heavy():
    commands = [kind.__name__.lower() for kind in COMMANDS]
    code = f"""
from elboroom.cli import main
for words in [[], *([c] for c in {commands})]:
    try:
        main([*words, "--help"])
    except SystemExit as end:
        assert end.code == 0"""
    assert loaded_after(code) == set()


def test_training_loads_only_what_it_needs():
    found = loaded_after("import elboroom.training_commands")
    assert found == {"torch", "numpy", "safetensors"}
