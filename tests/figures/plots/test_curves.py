"""The `curves` figure."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from elboroom import figures
from tests.support.figure_cases import curves, table


def by_title(figure: Figure) -> dict[str, Axes]:
    return {axes.get_title(loc="left").split(",")[0].split("(")[0]: axes for axes in figure.axes}


def test_curves_draws_both_tables_and_names_them() -> None:
    train = table()
    held_out = {name: values[4::5] for name, values in train.items()}
    figure = figures.curves(train, held_out, held_out_name="test")
    panels = by_title(figure)
    assert list(panels) == ["ELBO", "reconstruction", "KL"]
    for axes, quantity in zip(panels.values(), ("elbo", "reconstruction", "kl"), strict=True):
        for line, source in zip(axes.get_lines(), (train, held_out), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), source["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), source[quantity])
        assert axes.get_ylabel() == "nats per image"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "test"]


def test_curves_limits_leave_out_the_first_epochs_only() -> None:
    low, high = by_title(curves(60, 5))["ELBO"].get_ylim()
    train = table()
    assert low > -200  # the first epoch is below −10,000
    assert low < train["elbo"][6:].min()
    assert high > train["elbo"][6:].max()


@pytest.mark.parametrize("epochs", [1, 2, 9])
def test_curves_shows_all_of_a_short_training(epochs: int) -> None:
    low, high = by_title(curves(epochs, 5))["ELBO"].get_ylim()
    assert low < table(epochs)["elbo"].min()
    assert high > table(epochs)["elbo"].max()


@pytest.mark.parametrize(("beta", "panels"), [(1.0, 3), (0.5, 4)])
def test_curves_shows_beta_unless_it_is_one(beta: float, panels: int) -> None:
    figure = curves(20, 5, lambda epoch: np.full_like(epoch, beta))
    assert len(figure.axes) == panels
    assert ("β" in by_title(figure)) == (panels == 4)


def test_curves_without_held_out_epochs_names_the_train_only() -> None:
    figure = curves(4, 5)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train"]
