"""Samples: images that the model generates from its prior."""

from __future__ import annotations

from matplotlib.figure import Figure

from elboroom.figures.plots.arrays import Values, as_array
from elboroom.figures.plots.checks import require_images, require_shape
from elboroom.figures.plots.mosaic import columns_for, gap_of, show_mosaic, wrap
from elboroom.figures.plots.style import TEXT_WIDTH, new_figure, styled
from elboroom.figures.plots.tones import Tones, ValueRange


@styled
def samples(
    means: Values,
    draws: Values,
    *,
    captions: tuple[str, str] = ("means of p(x | z), z ~ p(z)", "draws x ~ p(x | z), same z"),
    value_range: ValueRange | None = None,
) -> Figure:
    """Draw generated images: the means of p(x | z) above, draws from it below, z ~ p(z).

    Both blocks wrap in the same way, so a draw has the same place as its mean.

    Args:
        means: `(N, C, H, W)`.
        draws: `(N, C, H, W)`; `draws[n]` comes from the same z as `means[n]`.
        captions: the title of each block.
        value_range: the values of black and white. If None, values in [0, 1] are shown as they are,
            and others are stretched from their 1st to their 99th percentile, with a colour bar.

    Raises:
        UsageError: if these are not images, or the two shapes differ.

    Example:
        >>> means, draws = model.generate(6, generator=generator)
        >>> means.shape, draws.shape
        (torch.Size([6, 1, 28, 28]), torch.Size([6, 1, 28, 28]))
        >>> figures.samples(means, draws).savefig("samples.png")
    """
    means, draws = as_array("means", means), as_array("draws", draws)
    require_images("means", means, "N")
    require_shape("draws", draws, means.shape, "N, C, H, W")
    tones = Tones.of(value_range, means, draws)
    columns = columns_for(len(means), at_most=10)
    blocks = [wrap(tones.rgb(images), columns) for images in (means, draws)]
    rows, _, height, width, _ = blocks[0].shape
    tile = min(0.8, TEXT_WIDTH / columns)
    across = max(columns * tile, 2.2)
    down = 2 * (rows * tile * height / width + 0.27) + tones.bar_height(across)
    figure = new_figure(across, down)
    panels = list(figure.subplots(2))
    for axes, block, title in zip(panels, blocks, captions, strict=True):
        show_mosaic(axes, block, gap_of(block))
        axes.set_title(title)
        axes.set_anchor("W")
    tones.add_bar(figure, panels)
    return figure
