"""Traversal: each latent walked through its values, the others at rest."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from elboroom.figures.plots.arrays import Values, as_array
from elboroom.figures.plots.checks import require_images, require_names, require_shape
from elboroom.figures.plots.mosaic import show_walks
from elboroom.figures.plots.style import latent_name, styled
from elboroom.figures.plots.tones import Tones, ValueRange


@styled
def traversal(
    walks: Values,
    steps: Values,
    *,
    names: Sequence[str] | None = None,
    step_label: str = "value of the latent",
    caption: str | None = None,
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw the means of p(x | z) while one latent takes each value and the others keep theirs.

    Args:
        walks: `(R, T, C, H, W)`: a row for each latent, decoded at T values.
        steps: `(T,)`: the values.
        names: R names of the latents; z₁, z₂, … if None.
        step_label: the name of the values.
        caption: a line above the figure, for example on the values of the other latents.
        value_range: the values of black and white, as in `samples`.

    Raises:
        UsageError: if these are not images, or there are not T values and R names.

    Example:
        >>> steps, z = torch.linspace(-3, 3, 7), torch.zeros(2, 7, 2)
        >>> z[0, :, 0] = z[1, :, 1] = steps  # one latent in each row
        >>> walks = model.decode(z).mean
        >>> walks.shape
        torch.Size([2, 7, 1, 28, 28])
        >>> figures.traversal(walks, steps).savefig("traversal.png")
    """
    walks, steps = as_array("walks", walks), as_array("steps", steps)
    require_images("walks", walks, "R, T")
    require_shape("steps", steps, (walks.shape[1],), "T")
    names = [latent_name(d) for d in range(len(walks))] if names is None else names
    require_names("names", names, len(walks))
    labels = [f"{value:.3g}".replace("-", "−") for value in steps]
    tones = Tones.of(value_range, walks)
    figure, axes = show_walks(walks, labels, names, tones, caption)
    axes.set_xlabel(step_label)
    return figure
