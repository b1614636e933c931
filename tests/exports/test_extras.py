"""The libraries that models are given to are extras."""

import sys

import pytest

from elboroom.errors import UsageError
from elboroom.exports import jax_decoder, numpyro_model, pyro_model
from tests.support.bridge_cases import case


@pytest.mark.parametrize(
    ("export", "library", "extra"),
    [
        (numpyro_model, "numpyro", "numpyro"),
        (jax_decoder, "jax", "numpyro"),
        (pyro_model, "pyro", "pyro"),
    ],
)
def test_a_library_that_is_missing_is_named_with_its_extra(export, library, extra, monkeypatch):
    for name in [*sys.modules]:
        if name.startswith("elboroom.exports.") and name.endswith(("_densities", "_functions")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=rf"library {library},(?s:.*)elboroom\[{extra}\]"):
        export(case()[0])
