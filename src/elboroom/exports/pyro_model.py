"""The model p(x, z) as a model of Pyro."""

from collections.abc import Callable

import torch

from elboroom.errors import extra_needed
from elboroom.exports.frozen import frozen
from elboroom.exports.row_count import row_count
from elboroom.infer.observed import Array
from elboroom.model.arguments import checked
from elboroom.model.vae import VAE


@checked
def pyro_model(model: VAE) -> Callable[..., None]:
    """Return p(x, z) as a model of Pyro, a function (x=None, mask=None, rows=1).

    Its sites are `z` (B, D) and `x` (B, *event) within the plate `row`, with z ~ p(z) and x ~
    p(x | z). Where x is given it is observed, and only its seen values count, which are True in
    `mask`. Without x, `rows` rows are drawn, as `pyro.infer.Predictive` does for the prior and
    posterior predictive. Each log-density is the model's own. Draws come from PyTorch's global
    generator, as all of Pyro's do.

    The weights are constant, and no parameters of Pyro: later training does not change the
    function. To train them by Pyro, write the model out, with `pyro.module` and `model.decode`.

    Args:
        model: the model, of which a copy in evaluation mode is taken.

    Raises:
        UsageError: Pyro is not installed; in a call, that data or mask do not fit the model.

    Example:
        >>> from pyro.infer import Predictive
        >>> from elboroom.exports import pyro_model
        >>> drawn = Predictive(pyro_model(model), num_samples=10)(rows=3)
        >>> drawn["z"].shape, drawn["x"].shape  # from the prior, and p(x | z)
        (torch.Size([10, 3, 2]), torch.Size([10, 3, 1, 28, 28]))
    """
    with extra_needed("the model cannot be given to Pyro", "pyro", "pyro"):
        import pyro

        from elboroom.exports.pyro_densities import Decoded, prior_of
    constant = frozen(model)

    def program(x: Array | None = None, mask: Array | None = None, rows: int = 1) -> None:
        with pyro.plate("row", row_count(x, mask, rows)):
            z = pyro.sample("z", prior_of(constant))
            observed = None if x is None else torch.as_tensor(x)
            pyro.sample("x", Decoded(constant, z, mask), obs=observed)

    return program
