"""The arrays of the figures: axes, signs and rows, caught by a spy in place of each plot."""

import re
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from elboroom import figures
from elboroom.config import DataConfig, FigureName, FiguresConfig, ModelConfig
from elboroom.data import Dataset, Part, load_data
from elboroom.data.binarisation import Binarisation
from elboroom.errors import DataError, NotDrawableError
from elboroom.figures import gallery, method_comparison
from elboroom.model.partial_encoder import PartialEncoder
from elboroom.model.priors import MixturePrior
from elboroom.model.vae import VAE
from elboroom.randomness import stream
from elboroom.training.state import EpochMetrics
from tests.support import ladder_cases


@pytest.fixture(scope="module")
def subject():
    data = load_data(DataConfig(split="reference"))
    data = replace(data, test=data.test.rows(list(range(200))))
    model = VAE.from_config(ModelConfig(2, (20,)), data.event_shape, generator=stream(5, "weights"))
    for p in model.parameters():
        p.data *= 2
    return gallery.Subject(model, lambda: data, data.event_shape, [], FiguresConfig())


@pytest.fixture
def shown(subject, monkeypatch):
    """Draw a figure, and return the arguments of its function."""

    def draw(name, subject=subject, function=None):
        calls = []
        spy = lambda *args, **words: calls.append((arrays(args), words))  # noqa: E731
        monkeypatch.setattr(figures, function or name, spy)
        gallery.draw(name, subject)
        draw.words = calls[0][1]
        return calls[0][0]

    return draw


@pytest.fixture
def short_chains(monkeypatch):
    """Let a figure take the chains of many latents for three."""
    monkeypatch.setattr(method_comparison, "MOST_DENSE", 2)


def arrays(value):
    """Convert tensors to arrays, as the figures do."""
    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {name: arrays(inner) for name, inner in value.items()}
    return tuple(map(arrays, value)) if isinstance(value, tuple) else value


def test_contours_are_normalised_with_z1_first_and_have_the_exact_kl(shown, subject):
    z1, z2, log_posterior, log_q, kl, x, mask = shown("contours")
    for row in range(len(kl)):
        cell = (z1[row, 1] - z1[row, 0]) * (z2[row, 1] - z2[row, 0])
        p, q = np.exp(log_posterior[row]), np.exp(log_q[row])
        assert p.sum() * cell == pytest.approx(1, abs=1e-3)
        assert q.sum() * cell == pytest.approx(1, abs=1e-3)
        by_sum = (q * (log_q[row] - log_posterior[row])).sum() * cell
        assert kl[row] == pytest.approx(by_sum, abs=2e-3)
        z = torch.tensor([[z1[row, 100], z2[row, 30]], [z1[row, 30], z2[row, 100]]])
        seen, event = torch.tensor(mask[row : row + 1]), torch.tensor(x[row : row + 1])
        joint = subject.model.log_joint(event.expand(2, -1, -1, -1), z[:, None].squeeze(1), seen)
        found = torch.tensor([log_posterior[row, 100, 30], log_posterior[row, 30, 100]])
        torch.testing.assert_close(found.diff(), joint.detach().diff(), atol=1e-3, rtol=1e-4)
    assert (kl >= 0).all()


def test_the_manifold_has_z1_along_its_second_axis(shown, subject):
    images, coordinates, heights = shown("manifold")
    np.testing.assert_array_equal(heights, coordinates)
    z = torch.tensor([[coordinates[7], coordinates[2]]])
    expected = subject.model.decode(z).mean[0].detach().numpy()
    np.testing.assert_allclose(images[2, 7], expected, atol=1e-6)
    quantiles = torch.special.ndtr(torch.tensor(coordinates)).diff()
    torch.testing.assert_close(quantiles, torch.full_like(quantiles, 1 / len(coordinates)))


def test_the_manifold_has_the_quantiles_of_each_latent_under_the_prior(shown, subject):
    means = torch.tensor([[7.0, -3.0], [7.0, -3.0]])
    stds = torch.tensor([[1.5, 0.5], [1.5, 0.5]])
    prior = MixturePrior(torch.zeros(2), means, stds.log())
    model = VAE(subject.model.encoder, subject.model.decoder, 2, prior=prior)
    images, across, up = shown("manifold", replace(subject, model=model))
    z = torch.tensor([[across[7], up[2]]])
    expected = model.decode(z).mean[0].detach().numpy()
    np.testing.assert_allclose(images[2, 7], expected, atol=1e-6)
    for found, mean, std in [(across, 7.0, 1.5), (up, -3.0, 0.5)]:
        level = torch.special.ndtr((torch.tensor(found) - mean) / std)
        exact = (torch.arange(len(found)) + 0.5) / len(found)
        # of 10,000 draws: √(p (1 − p) / n) ≤ 0.005
        torch.testing.assert_close(level, exact, atol=4.5 * 0.005, rtol=0)


def test_an_interpolation_ends_at_the_posterior_means_of_its_classes(shown, subject):
    paths, ends = shown("interpolation")
    assert ends == [("1", "2"), ("3", "8"), ("4", "5")]
    labels, x = subject.data.test.labels, subject.data.test.x
    for row, names in enumerate(ends):
        for step, name in zip((0, -1), names, strict=True):
            first = int((labels == int(name)).nonzero()[0])
            mean = subject.model.posterior(x[first : first + 1]).mean
            expected = subject.model.decode(mean).mean[0].detach().numpy()
            np.testing.assert_allclose(paths[row, step], expected, atol=1e-5)


def test_latent_means_keep_the_labels_of_their_images(shown, subject):
    means, labels = shown("latent")
    expected = subject.model.posterior(subject.data.test.x).mean.detach().numpy()
    np.testing.assert_allclose(means, expected, atol=1e-6)
    assert labels.tolist() == subject.data.test.labels.tolist()


def test_a_projection_keeps_the_two_directions_of_largest_variance(shown, subject):
    model = VAE.from_config(ModelConfig(5, ()), subject.data.event_shape, generator=stream(1, "w"))
    means, _ = shown("latent", replace(subject, model=model))
    full = model.posterior(subject.data.test.x).mean.detach().numpy()
    variances = np.sort(np.linalg.eigvalsh(np.cov(full.T)))[::-1]
    np.testing.assert_allclose(np.cov(means.T), np.diag(variances[:2]), atol=1e-4)


def test_completion_shows_one_of_each_class_and_keeps_what_is_seen(shown, subject):
    x, mask, mean, draws = shown("completion")
    assert len(x) == 8
    assert mask[:, :, :14].all()
    assert not mask[:, :, 14:].any()
    np.testing.assert_array_equal(mean[mask], x[mask])
    np.testing.assert_array_equal(draws[:, mask], np.broadcast_to(x[mask], draws[:, mask].shape))


def test_posteriors_show_each_method_beside_the_truth_with_its_exact_kl(shown, subject):
    z1, z2, truth, log_q, kl, x, _ = shown("posteriors")
    assert list(log_q) == list(kl) == ["encoder", "svi", "laplace"]
    for row in range(len(x)):
        cell = np.diff(z1[row])[0] * np.diff(z2[row])[0]
        assert 0.97 < np.exp(truth[row]).sum() * cell <= 1.001
        likely = truth[row] > truth[row].max() - 12
        q, p = log_q["laplace"][row][likely], truth[row][likely]
        on_grid = (np.exp(q) * (q - p)).sum() * cell
        assert abs(on_grid - kl["laplace"][row]) < 0.02
    assert (kl["laplace"] <= kl["svi"] + 0.02).all()


@pytest.mark.usefixtures("short_chains")
def test_beyond_the_plane_posteriors_are_draws_of_one_image(shown, subject):
    model = VAE.from_config(ModelConfig(3, ()), subject.data.event_shape, generator=stream(1, "w"))
    (draws,) = shown("posteriors", replace(subject, model=model), "corner")
    assert list(draws) == ["hmc", "laplace", "svi", "encoder"]
    mixing = r"hmc, 4 × 200 draws, has( not)? converged: R̂ 1\.\d{3}, effective sample size \d+$"
    assert re.search(mixing, shown.words["caption"])
    hmc, fit = draws["hmc"], draws["laplace"]
    assert hmc.shape[1] == 3
    assert np.abs(hmc.mean(0) - fit.mean(0)).max() < 0.25


@pytest.mark.parametrize("name", ["contours", "manifold"])
def test_a_figure_of_the_plane_is_not_drawable_in_three_dimensions(shown, subject, name):
    model = VAE.from_config(ModelConfig(3, ()), subject.data.event_shape, generator=stream(1, "w"))
    with pytest.raises(NotDrawableError, match="two-dimensional"):
        shown(name, replace(subject, model=model))


@pytest.mark.usefixtures("short_chains")
@pytest.mark.parametrize("latents", [2, 3])
def test_posteriors_show_the_partial_encoder_where_there_is_one(shown, subject, latents):
    config = ModelConfig(latents, ())
    model = VAE.from_config(config, subject.data.event_shape, generator=stream(1, "w"))
    model.partial_encoder = PartialEncoder.from_config(
        model, config, "diagonal", generator=stream(2, "r")
    )
    drawn = shown("posteriors", replace(subject, model=model), "corner" if latents > 2 else None)
    of_methods = [each for each in drawn if isinstance(each, dict)]
    assert of_methods
    assert all("partial-encoder" in each for each in of_methods)


def test_the_means_of_many_images_are_encoded_some_at_a_time(shown, subject, monkeypatch):
    (expected, _labels) = shown("latent")
    monkeypatch.setattr("elboroom.infer.posterior_means._ENCODED_TOGETHER", 150)  # of two hundred
    together, posterior = [], subject.model.posterior
    encode = lambda x, seen: together.append(len(x)) or posterior(x, seen)  # noqa: E731
    monkeypatch.setattr(subject.model, "posterior", encode)
    (means, _labels) = shown("latent")
    assert together == [150, 50]
    assert np.allclose(means, expected, atol=1e-5)


def test_curves_of_a_run_without_an_epoch_are_not_drawable(shown):
    with pytest.raises(NotDrawableError, match="no training curves"):
        shown("curves")


def test_every_figure_that_options_name_can_be_drawn():
    assert gallery.FIGURES.keys() == set(get_args(FigureName))


def part_of(x, labels=None, classes=None, **words):
    return Part(x, None if labels is None else torch.tensor(labels), classes=classes, **words)


def with_test_part(subject, part, latents=2, **config):
    """Show another test part by a small model, which is new."""
    shape = tuple(part.images.shape[1:])
    data = Dataset(subject.data.identity, part, None, part)
    model = VAE.from_config(ModelConfig(latents, (8,)), shape, generator=stream(1, "w"))
    return gallery.Subject(model, lambda: data, shape, [], FiguresConfig(**config))


def refuse():
    raise DataError("cannot read x.npy", why="it has moved", fix="give --data")


@pytest.mark.parametrize("name", ["samples", "manifold", "traversal", "curves"])
def test_figures_of_the_model_alone_do_not_load_the_data(shown, subject, name):
    metrics = EpochMetrics(1, 1, -5.25, -4.0, 1.25, -5.25, 1.0, 1e-3, None, 1e4)
    assert shown(name, replace(subject, load_data=refuse, history=[metrics]))


def test_curves_name_the_part_that_training_was_watched_by(shown, subject):
    metrics = EpochMetrics(1, 1, -5.25, -4.0, 1.25, -5.25, 1.0, 1e-3, None, 1e4)
    rows = {"event_shape": (7,), "held_out": "validation", "history": [metrics]}
    shown("curves", replace(subject, **rows))
    assert shown.words == {"held_out_name": "validation", "unit": "nats per row"}


def test_reconstructions_are_decoded_at_the_posterior_means_of_their_originals(shown, subject):
    x, means = shown("reconstructions")
    assert len(x) == len(means) == 10
    q = subject.model.posterior(torch.tensor(x))
    expected = subject.model.decode(q.mean).mean.detach().numpy()
    np.testing.assert_allclose(means, expected, atol=1e-6)
    numbers = [int(name.removeprefix("#")) for name in shown.words["names"]]
    part = subject.data.test
    rows = [part.numbers.tolist().index(number) for number in numbers]
    np.testing.assert_array_equal(part.x[rows], x)


def test_a_traversal_walks_the_most_active_latents_first_and_the_others_rest(shown, subject):
    class Decoder(torch.nn.Module):
        weights = torch.tensor([0.1, 3.0, 0.0, 1.0])

        def forward(self, z):
            return (self.weights * z).unsqueeze(-1).unsqueeze(-3)  # (…, 1, 4, 1)

    model = VAE.from_config(ModelConfig(4, (3,)), (1, 4, 1), generator=stream(1, "w"))
    model.decoder = Decoder()
    walks, steps = shown("traversal", replace(subject, model=model, event_shape=(1, 4, 1)))
    np.testing.assert_allclose(steps, np.linspace(-3, 3, 13), atol=1e-6)
    assert shown.words["names"] == ["z₂", "z₄", "z₁", "z₃"]
    for walk, latent in zip(walks, (1, 3, 0, 2), strict=True):
        logits = np.zeros((13, 4))
        logits[:, latent] = float(Decoder.weights[latent]) * steps
        np.testing.assert_allclose(walk[:, 0, :, 0], 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_a_traversal_goes_through_the_prior_and_shows_at_most_ten_latents(shown, subject):
    shape = subject.event_shape
    model = VAE.from_config(ModelConfig(12, (9,)), shape, generator=stream(1, "w"))
    means = torch.arange(12.0).expand(3, -1)
    model.prior = MixturePrior(torch.zeros(3), means, torch.full((3, 12), 0.5).log())
    walks, steps = shown("traversal", replace(subject, model=model))
    assert walks.shape == (10, 13, *shape)
    assert "10 of 12 are shown" in shown.words["caption"]
    at_rest = model.decode(means[:1]).mean.detach().numpy()
    middle = walks[:, len(steps) // 2]
    # The moments are of 10,000 draws: σ / √n = 0.005
    np.testing.assert_allclose(middle, np.broadcast_to(at_rest, middle.shape), atol=0.02)


@pytest.fixture(scope="module")
def of_a_ladder(subject):
    model = ladder_cases.ladder(subject.event_shape, channels=(4, 4), level_channels=(1, 1)).float()
    return replace(subject, model=model)


def test_levels_keep_the_upper_latents_and_draw_the_others_again(shown, of_a_ladder):
    x, means = shown("levels", of_a_ladder)
    sizes = of_a_ladder.model.decoder.sizes
    assert len(means) == len(sizes) + 1
    assert len(shown.words["labels"]) == len(means)
    model, draw = of_a_ladder.model, of_a_ladder.generator
    z = model.posterior(torch.tensor(x)).sample(1, draw("levels of q"))[0]
    drawn = model.prior(len(x)).sample(1, draw("levels of the prior"))[0]
    for row, first in ((0, sum(sizes)), (1, sum(sizes[:-1])), (len(sizes), 0)):
        mixed = torch.cat([z[:, :first], drawn[:, first:]], 1)
        np.testing.assert_allclose(means[row], model.decode(mixed).mean, atol=1e-6)


def test_a_traversal_of_a_ladder_shows_latents_of_every_level(shown, of_a_ladder):
    walks, _ = shown("traversal", of_a_ladder)
    sizes = of_a_ladder.model.decoder.sizes
    levels = [name.split(":")[0] for name in shown.words["names"]]
    room = 10 // len(sizes)
    expected = [n for n, size in enumerate(sizes, 1) for _ in range(min(room, size))]
    assert levels == [f"level {n}" for n in expected]
    assert len(walks) == len(levels)


def test_a_model_of_one_level_has_no_figure_of_levels(subject):
    with pytest.raises(NotDrawableError, match="needs a ladder"):
        gallery.draw("levels", subject)


@pytest.mark.parametrize(
    ("likelihood", "known", "expected"),
    [
        *((name, False, (0, 1)) for name in ("bernoulli", "discretized-logistic")),
        *(("gaussian", True, (0, 1)), ("gaussian", False, None)),
    ],
)
def test_values_that_may_leave_the_unit_interval_are_stretched(
    subject, likelihood, known, expected
):
    config = ModelConfig(likelihood=likelihood)
    model = VAE.from_config(config, (1, 4, 4), generator=stream(1, "w"))
    assert replace(subject, model=model, in_unit_interval=known).value_range == expected


@pytest.mark.parametrize("shape", [(2, 4, 4), (4, 4, 4), (12,), (3, 5)])
def test_events_that_are_no_pictures_have_no_picture_figures(subject, shape):
    drawn = with_test_part(subject, part_of(torch.rand(5, *shape).round()))
    for name in get_args(FigureName):
        if name in ("latent", "curves"):
            continue
        with pytest.raises(NotDrawableError, match=f"^the {name} figure needs images\n"):
            gallery.draw(name, drawn)
    assert gallery.draw("latent", drawn)


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("latents", [1, 2, 3])
def test_few_rows_give_a_figure_or_say_that_it_is_left_out(subject, rows, latents):
    drawn = with_test_part(subject, part_of(torch.rand(rows, 1, 6, 6).round()), latents)
    out = set()
    for name in ("reconstructions", "latent", "interpolation", "traversal", "completion"):
        try:
            assert gallery.draw(name, drawn)
        except NotDrawableError:
            out.add(name)
    expected = {"interpolation"} if rows == 1 else set()
    assert out == expected | ({"latent"} if latents == 1 or (rows, latents) == (1, 3) else set())


def test_latent_means_have_the_names_of_their_classes(shown, subject):
    part = part_of(torch.rand(6, 1, 4, 4).round(), [2, 0, 2, 0, 2, 0], ("cat", "dog", "T-shirt"))
    shown("latent", with_test_part(subject, part))
    assert shown.words["class_names"] == ("cat", "dog", "T-shirt")
    assert shown.words["note"] == "posterior means of 6 test images"


def test_captions_name_part_rows_and_what_is_seen(shown, subject):
    part = part_of(
        torch.rand(3, 1, 4, 4).round(), source_rows=np.array([131, 7, 2_000]), origin="x_test"
    )
    drawn = replace(with_test_part(subject, part, mask="left"), part_name="validation")
    shown("contours", drawn)
    expected = "validation images, rows 131, 7, 2,000 of x_test; seen: left"
    assert shown.words["caption"] == expected
    shown("completion", drawn)
    assert shown.words["names"] == ["#131", "#7", "#2000"]
    assert "seen: left of the validation images" in shown.words["caption"]


def test_missing_pixels_reach_the_figures_as_nan(shown, subject):
    x = torch.rand(4, 1, 6, 6).round()
    x[:, :, 1, 2] = torch.nan
    drawn = with_test_part(subject, part_of(x, binarisation=Binarisation(missing=True)))
    for name in ("completion", "contours", "posteriors"):
        *_, images, masks = shown(name, drawn)[:2] if name == "completion" else shown(name, drawn)
        assert np.isnan(images[:, 0, 1, 2]).all()
        assert not masks[:, 0, 1, 2].any()
    originals, means = shown("reconstructions", drawn)
    assert np.isnan(originals[:, 0, 1, 2]).all()
    assert np.isfinite(means).all()


def test_samples_name_the_likelihood_that_they_are_drawn_from(shown, subject):
    shown("samples", replace(subject, likelihood="bernoulli"))
    assert shown.words["captions"][1] == "draws x ~ p(x | z), bernoulli, same z"
    shown("samples")
    assert shown.words["captions"][1] == "draws x ~ p(x | z), same z"
