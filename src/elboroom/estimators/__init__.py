"""Estimators for scikit-learn: imputer, transformer and density."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from elboroom.errors import UsageError

if TYPE_CHECKING:
    from elboroom.estimators.density import VAEDensity
    from elboroom.estimators.imputer import VAEImputer
    from elboroom.estimators.transformer import VAETransformer

# Imported on first use: scikit-learn and pandas are extras.
_HOMES = {"VAEDensity": "density", "VAEImputer": "imputer", "VAETransformer": "transformer"}
_LIBRARIES = ("sklearn", "pandas")

__all__ = ["VAEDensity", "VAEImputer", "VAETransformer"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'elboroom.estimators' has no attribute {name!r}")
    try:
        home = import_module(f"elboroom.estimators.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _LIBRARIES:
            raise
        raise _lacks(name, error.name) from error
    return getattr(home, name)


def __dir__() -> list[str]:
    return __all__


def _lacks(name: str, library: str) -> UsageError:
    return UsageError(
        f"cannot import {name}",
        why=f"it needs the library {library}, which is not installed",
        fix="install it: pip install 'elboroom[sklearn]'",
    )
