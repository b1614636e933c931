import ast
import inspect
import pkgutil
from importlib import import_module, metadata
from types import ModuleType

import pytest

import elboroom

NAMES = [
    *("PRESETS", "VAE"),
    *("Bernoulli", "Config", "DataConfig", "Dataset", "DiagonalGaussian", "ElboroomError"),
    *("Evaluation", "ModelConfig", "ObjectiveConfig", "Run", "TrainConfig", "TrainState"),
    *("__version__", "evaluate", "figures", "from_pretrained", "half_mask", "infer"),
    *("load_data", "load_mask", "load_mnist", "push_to_hub", "resolve", "save_pretrained"),
    *("train", "train_run"),
]


def modules() -> list[str]:
    found = pkgutil.walk_packages(elboroom.__path__, "elboroom.")
    return [module.name for module in found if not module.name.endswith("__main__")]


def test_the_public_names_are_these():
    assert elboroom.__all__ == NAMES


def test_the_public_names_are_sorted_constants_then_classes_then_the_rest():
    key = {name: (not name.isupper(), not name[0].isupper(), name) for name in NAMES}
    assert sorted(elboroom.__all__, key=lambda name: key[name]) == elboroom.__all__


def test_nothing_else_is_listed():
    assert dir(elboroom) == sorted(NAMES)


def test_a_star_import_brings_every_public_name():
    names: dict[str, object] = {}
    exec("from elboroom import *", names)
    assert set(names) - {"__builtins__"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_can_be_imported(name: str):
    assert getattr(elboroom, name) is not None


def test_the_public_names_keep_their_meaning_after_every_module_was_imported():
    for module in modules():
        import_module(module)
    kinds = {name: type(getattr(elboroom, name)) for name in NAMES}
    assert [name for name in NAMES if kinds[name] is ModuleType] == ["figures", "infer"]
    assert [name for name in NAMES if inspect.isfunction(getattr(elboroom, name))] == [
        *("evaluate", "from_pretrained", "half_mask", "load_data", "load_mask", "load_mnist"),
        *("push_to_hub", "resolve", "save_pretrained", "train", "train_run"),
    ]


def test_no_module_hides_a_public_function_of_the_same_name():
    names = {module.removeprefix("elboroom.") for module in modules()}
    assert names & set(NAMES) == {"figures", "infer"}


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'elboroom' has no attribute 'vae'$"):
        _ = elboroom.vae


def test_type_checkers_see_the_homes_that_are_imported_from():
    tree = ast.parse(inspect.getsource(elboroom))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    seen = {(node.module, alias.name) for node in imports for alias in node.names}
    for name, home in elboroom._HOMES.items():
        assert ("elboroom" if home == name else f"elboroom.{home}", name) in seen


def test_the_version_is_that_of_the_installed_package():
    assert elboroom.__version__ == metadata.version("elboroom")
