"""Networks, priors and densities of the user's own: what `VAE` checks at construction."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from elboroom import VAE, Config, Dataset, ModelConfig, TrainConfig, evaluate, infer, train
from elboroom.data.statistics import Statistics
from elboroom.errors import UsageError
from elboroom.model.likelihoods import GaussianPixels, LearnedNoise, ObservationModel
from elboroom.model.posteriors import CholeskyGaussian, DiagonalGaussian
from elboroom.model.posteriors.flow import FlowFamily
from elboroom.model.priors import StandardNormal
from tests.support.oracles import UnitNoise

EVENT = (1, 8, 8)


class Encoder(nn.Module):
    """x → outputs of the given sizes, by a linear layer."""

    def __init__(self, *sizes: int, pixels: int = 64) -> None:
        super().__init__()
        self.sizes, self.linear = sizes, nn.Linear(pixels, sum(sizes))

    def forward(self, x: Tensor) -> object:
        return self.linear(x.flatten(1)).split(self.sizes, -1)


class Decoder(nn.Module):
    """A convolutional decoder as everybody writes it: (B, D) → (B, *event)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.net = nn.Linear(2, 64), nn.ConvTranspose2d(16, 1, 4, 4)

    def forward(self, z: Tensor) -> Tensor:
        return self.net(self.first(z).view(-1, 16, 2, 2))


class Kept(Decoder):
    """The same, which keeps the leading axes."""

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(z).unflatten(0, z.shape[:-1])


def of(base: type[nn.Module], forward: Callable[[nn.Module, Tensor], object], *sizes: int):
    """Make a module of `base` with another forward."""
    return type("Changed", (base,), {"forward": forward})(*sizes)


def decoded(module: nn.Module, z: Tensor) -> Tensor:
    return Kept.forward(module, z)  # type: ignore[arg-type]


def refused(*parts: object, **options: object) -> str:
    with pytest.raises(UsageError) as error:
        VAE(*parts, **options)  # type: ignore[arg-type]
    return str(error.value)


def test_a_decoder_that_flattens_samples_into_the_batch_is_refused_in_words():
    text = refused(Encoder(2, 2), Decoder(), 2)
    assert "the decoder returned (3, 1, 8, 8) for z (1, 3, 2)" in text
    assert "expected (1, 3, 1, 8, 8)" in text
    assert ".unflatten(0, z.shape[:-1])" in text


def test_the_same_decoder_with_its_leading_axes_gives_the_event_shape():
    assert VAE(Encoder(2, 2), Kept(), 2).event_shape == EVENT


BAD_DECODERS = {
    "in place": (lambda m, z: decoded(m, z.tanh_()), "changes its input in place"),
    "detached": (lambda m, z: decoded(m, z).detach(), "the decoder cannot be differentiated"),
    "no gradients": (
        lambda m, z: torch.no_grad()(decoded)(m, z),
        "the decoder cannot be differentiated",
    ),
    "complex numbers": (lambda m, z: torch.complex(z, z), "of torch.complex64 for z (5, 2)"),
    "one sample only": (
        lambda m, z: decoded(m, z) if len(z) < 2 or z.ndim < 3 else decoded(m, z[:1]),
        "returned (1, 5, 1, 8, 8) for z (2, 5, 2)",
    ),
    "one batch size only": (
        lambda m, z: decoded(m, z).reshape(5, -1, 8, 8),
        "the decoder cannot be called with z (3, 2)",
    ),
    "samples and rows swapped": (
        lambda m, z: decoded(m, z).transpose(0, z.ndim - 2),
        "returned (3, 1, 1, 8, 8) for z (1, 3, 2)",
    ),
    "no batch axis": (lambda m, z: decoded(m, z).sum(0), "returned (1, 8, 8) for z (5, 2)"),
    "numbers for rows": (lambda m, z: z[..., 0], "returned (5,) for z (5, 2)"),
    "a tuple": (lambda m, z: (decoded(m, z), z), "returned a tuple for z (5, 2)"),
    "whole numbers": (lambda m, z: decoded(m, z).long(), "of torch.int64 for z (5, 2)"),
    "rows mixed": (
        lambda m, z: decoded(m, z - z.flatten(0, -2).mean(0)),
        "the decoder computes a row of z differently in another batch",
    ),
    "noise": (
        lambda m, z: decoded(m, z + torch.randn_like(z)),
        "mixes rows, or draws noise",
    ),
    "another number of latents": (lambda m, z: decoded(m, z[..., :1]), "cannot be called"),
}


@pytest.mark.parametrize("name", BAD_DECODERS)
def test_a_decoder_that_breaks_its_contract_is_refused(name: str):
    forward, words = BAD_DECODERS[name]
    assert words in refused(Encoder(2, 2), of(Kept, forward), 2)


def linear(m, x):
    return m.linear(x.flatten(1))


BAD_ENCODERS = {
    "in place": (lambda m, x: linear(m, x.mul_(2)).chunk(2, -1), "changes its input in place"),
    "another error": (lambda m, x: 1 / 0, "ZeroDivisionError: division by zero"),
    "a dict": (lambda m, x: {"mean": linear(m, x)}, "returned a dict for x"),
    "one tensor": (linear, "returned one tensor (3, 4) of torch.float32 for x (3, 1, 8, 8)"),
    "stacked": (lambda m, x: torch.stack(linear(m, x).chunk(2, -1)), "one tensor (2, 3, 2)"),
    "a distribution": (
        lambda m, x: torch.distributions.Normal(*linear(m, x).exp().chunk(2, -1)),
        "returned a Normal",
    ),
    "three outputs": (lambda m, x: (*linear(m, x).chunk(2, -1), x), "(3, 2), (3, 1, 8, 8)"),
    "one output": (lambda m, x: (linear(m, x)[:, :2],), "returned (3, 2) for x"),
    "one scale for all": (
        lambda m, x: (linear(m, x)[:, :2], linear(m, x)[:, 2:3]),
        "returned (3, 2), (3, 1) for x",
    ),
    "a leading axis": (lambda m, x: linear(m, x)[None].chunk(2, -1), "(1, 3, 2), (1, 3, 2)"),
    "too many latents": (lambda m, x: (linear(m, x), linear(m, x)), "(3, 4), (3, 4)"),
    "numbers": (lambda m, x: (linear(m, x)[:, :2], 0.0), "returned a float for x"),
    "rows mixed": (
        lambda m, x: linear(m, x - x.mean(0)).chunk(2, -1),
        "the encoder computes a row of x differently in another batch",
    ),
    "noise": (lambda m, x: linear(m, x + torch.rand_like(x)).chunk(2, -1), "draws noise"),
}


@pytest.mark.parametrize("name", BAD_ENCODERS)
def test_an_encoder_that_breaks_its_contract_is_refused(name: str):
    forward, words = BAD_ENCODERS[name]
    assert words in refused(of(Encoder, forward, 2, 2), Kept(), 2)


def test_encoder_and_decoder_must_agree_on_the_event():
    text = refused(Encoder(2, 2, pixels=49), Kept(), 2)
    assert "the encoder cannot be called with x (3, 1, 8, 8)" in text
    assert "take events of (1, 8, 8), the shape that the decoder returns" in text


def test_batch_normalisation_without_running_statistics_is_refused():
    norm = nn.BatchNorm1d(64, track_running_stats=False)
    encoder = of(Encoder, lambda m, x: m.linear(norm(x.flatten(1))).chunk(2, -1), 2, 2)
    assert "differently in another batch" in refused(encoder, Kept(), 2)


def test_running_statistics_dropout_and_training_mode_are_accepted_and_kept():
    encoder = Encoder(2, 2)
    encoder.linear = nn.Sequential(nn.BatchNorm1d(64), nn.Dropout(0.5), nn.Linear(64, 4))
    encoder.linear[1].eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    model = VAE(encoder, Kept(), 2)
    assert model.training
    assert encoder.training
    assert [layer.training for layer in encoder.linear] == [True, False, True]
    assert all(torch.equal(before[name], v) for name, v in encoder.state_dict().items())


def test_buffers_that_a_forward_changes_are_restored():
    class Counting(Kept):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))
            self.register_buffer("other", torch.zeros(()))

        def forward(self, z: Tensor) -> Tensor:
            self.calls += 1
            self.other = self.other + 1
            return super().forward(z)

    decoder = Counting()
    VAE(Encoder(2, 2), decoder, 2)
    assert (decoder.calls, decoder.other) == (0, 0)


def test_the_global_random_state_is_not_touched():
    noisy = of(Kept, lambda m, z: decoded(m, z) + 1e-6 * torch.rand(()))
    encoder = Encoder(2, 2)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    VAE(encoder, noisy, 2)
    assert torch.equal(torch.rand(4), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_parts_are_checked_in_their_own_type(dtype: torch.dtype):
    model = VAE(Encoder(2, 2).to(dtype), Kept().to(dtype), 2)
    assert model.event_shape == EVENT
    assert model.encoder.linear.weight.dtype == dtype


def test_lazy_layers_are_completed():
    encoder = Encoder(2, 2)
    encoder.linear = nn.LazyLinear(4)
    VAE(encoder, Kept(), 2)
    assert encoder.linear.weight.shape == (4, 64)


@pytest.mark.parametrize(
    ("sizes", "family"),
    [
        ((2, 2), DiagonalGaussian),
        ((2, 2, 1), CholeskyGaussian),
        ((2, 2, 32), FlowFamily(2, torch.Generator().manual_seed(0))),
    ],
)
def test_every_family_has_its_own_number_of_outputs(sizes, family):
    assert VAE(Encoder(*sizes), Kept(), 2, family=family).event_shape == EVENT
    wrong = (*sizes[:-1], sizes[-1] + 1)
    assert "for x (3, 1, 8, 8)" in refused(Encoder(*wrong), Kept(), 2, family=family)


def test_a_likelihood_with_parameters_is_accepted():
    VAE(Encoder(2, 2), Kept(), 2, ObservationModel(GaussianPixels, LearnedNoise(())))


def test_a_likelihood_that_does_not_sum_over_the_event_is_refused():
    text = refused(Encoder(2, 2), Kept(), 2, UnitNoise)  # it sums over the last axis alone
    assert "log_prob of the likelihood returned (2, 5, 1, 8)" in text
    assert "expected (2, 5)" in text


def test_a_family_that_does_not_sum_over_the_latents_is_refused():
    class Unsummed(DiagonalGaussian):
        def log_prob(self, z: Tensor) -> Tensor:
            return self.log_prob_per_latent(z)

    text = refused(Encoder(2, 2), Kept(), 2, family=Unsummed)
    assert "log_prob of the encoder's q returned (2, 5, 2)" in text


def test_a_prior_of_other_latents_is_refused():
    text = refused(Encoder(2, 2), Kept(), 2, prior=StandardNormal(3))
    assert "the mean of the prior is (5, 3)" in text
    assert "expected (5, 2)" in text


def test_a_prior_whose_curvature_has_another_shape_is_refused():
    class Flat(StandardNormal):
        def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
            return -z, torch.ones_like(z)

    text = refused(Encoder(2, 2), Kept(), 2, prior=Flat(2))
    assert "curvature of the prior returned a precision (5, 2)" in text


def test_fixed_models_and_built_in_ones_are_not_checked_again():
    class Once(Kept):
        calls = 0

        def forward(self, z: Tensor) -> Tensor:
            Once.calls += 1
            return super().forward(z)

    model = VAE(Encoder(2, 2), Once(), 2)
    Once.calls = 0
    assert model.fixed().event_shape == EVENT
    assert Once.calls == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"encoder": Encoder}, "found the class Encoder"),
        ({"decoder": lambda z: z}, "found a function"),
        ({"encoder": None}, "found a NoneType"),
        ({"latents": "2"}, "found a str"),
        ({"latents": 0}, "expected an integer of 1 or more"),
        ({"likelihood": "gaussian"}, "expected a map"),
        ({"likelihood": GaussianPixels}, "needs a scale of the noise"),
        ({"likelihood": ObservationModel(GaussianPixels)}, "likelihood cannot be called"),
        ({"likelihood": nn.BCEWithLogitsLoss()}, "likelihood cannot be called"),
        (
            {"likelihood": ObservationModel(GaussianPixels, LearnedNoise((5, 5)))},
            "likelihood cannot be called",
        ),
    ],
)
def test_a_part_of_another_type_is_refused(change: dict, said: str):
    parts = {"encoder": Encoder(2, 2), "decoder": Kept(), "latents": 2} | change
    with pytest.raises(UsageError, match=said):
        VAE(**parts)


class Doubled(Encoder):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(one.double() for one in super().forward(x))


def test_an_encoder_in_float64_gives_densities_of_the_type_of_x():
    model = VAE(Doubled(2, 2), Kept(), 2)
    x = torch.zeros(3, *EVENT)
    assert model.posterior(x).mean.dtype == torch.float32
    assert model.log_weights(x, 4, generator=torch.Generator().manual_seed(0)).shape == (4, 3)


TYPES = {
    "float64": lambda model: model.double(),
    "float16": lambda model: model.half(),
    "bfloat16": lambda model: model.bfloat16(),
    "encoder float64": lambda model: model.encoder.double(),
    "decoder float64": lambda model: model.decoder.double(),
    "encoder bfloat16": lambda model: model.encoder.bfloat16(),
    "decoder float16": lambda model: model.decoder.half(),
}


@pytest.mark.parametrize("prior", ["standard", "mixture", "vamp", "flow"])
@pytest.mark.parametrize("name", TYPES)
def test_a_model_of_another_type_computes_the_same_numbers(name: str, prior: str):
    config = ModelConfig(hidden=(4,), prior=prior, components=3, likelihood="gaussian")
    options = {"statistics": Statistics.of_units(EVENT), "images": torch.rand(3, *EVENT)}
    model = VAE.from_config(config, EVENT, generator=noise(), **options).eval()
    model.likelihood.units.location.fill_(1.2345678)
    x, z = torch.rand(3, *EVENT), torch.randn(3, config.latents)
    expected = model.log_joint(x, z), model.posterior(x).mean
    TYPES[name](model)
    found = model.log_joint(x, z), model.posterior(x).mean
    assert all(one.dtype in (torch.float32, torch.float64) for one in found)
    for one, exact in zip(found, expected, strict=True):
        torch.testing.assert_close(one.to(exact), exact, rtol=0.01, atol=0.05)
    assert abs(model.likelihood.units.location.float() - 1.2345678).max() < 1e-6
    assert model.log_weights(x, 4, generator=noise()).shape == (4, 3)
    assert model.generate(2, generator=noise())[1].shape == (2, *EVENT)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_of_narrow_parts_keeps_prior_and_noise_in_float32(dtype: torch.dtype):
    noisy = ObservationModel(GaussianPixels, LearnedNoise(())).to(dtype)
    for prior in (None, torch.distributions.Normal(torch.zeros(2, dtype=dtype), 1.0)):
        model = VAE(Encoder(2, 2).to(dtype), Kept().to(dtype), 2, likelihood=noisy, prior=prior)
        x = model.generate(3, generator=noise())[1]
        kept = (*model.prior.buffers(), *model.likelihood.parameters())
        assert {tensor.dtype for tensor in kept if tensor.is_floating_point()} == {torch.float32}
        found = infer.laplace(model.eval(), x, generator=noise())
        assert found.mean.dtype == found.sample(2).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_prior_with_an_inverted_transform_is_moved_with_the_model(dtype: torch.dtype):
    gumbel = torch.distributions.Gumbel(torch.zeros(2), torch.ones(2))
    model = VAE(Encoder(2, 2), Kept(), 2, prior=gumbel).to(dtype)
    z = torch.randn(3, 2, dtype=dtype, generator=noise())
    # log p(z) = −z − exp(−z)
    expected = (-z - (-z).exp()).sum(-1)
    torch.testing.assert_close(model.prior(3).log_prob(z), expected)


def test_a_model_without_trained_parameters_is_not_trained():
    data = Dataset.from_arrays(np.random.default_rng(0).random((40, 8, 8)) < 0.5)
    model = VAE(Encoder(2, 2), Kept(), 2).requires_grad_(False)
    with pytest.raises(UsageError, match="this model has nothing to train"):
        train(model, data, TrainConfig(epochs=1, device="cpu", threads=1))


def noise() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"event_shape": 6}, "event_shape cannot be a int"),
        ({"event_shape": "188"}, "event_shape cannot be 188"),
        ({"event_shape": (0, 8)}, r"event_shape cannot be \(0, 8\)"),
        ({"event_shape": (8.0,)}, r"event_shape cannot be \(8.0,\)"),
        ({"event_shape": ()}, r"event_shape cannot be \(\)"),
        ({"config": Config()}, "found a Config; expected a ModelConfig"),
        ({"config": ModelConfig}, "found the class ModelConfig"),
        ({"generator": 0}, "found a int; expected a Generator"),
        ({"generator": None}, "found a NoneType"),
        ({"images": np.zeros((3, 1, 8, 8))}, "found a ndarray; expected a Tensor"),
        ({"statistics": 1.0}, "found a float; expected a Statistics"),
        ({"statistics": Statistics.of_units((5,))}, "the statistics are not of such data"),
        ({"network": "os:abort"}, "the network factory is not a function"),
        ({"network": (Encoder(2, 2), Kept())}, "the network factory is not a function"),
        ({"network": Kept()}, "the network factory is not a function"),
    ],
)
def test_from_config_refuses_an_argument_of_another_type(change: dict, said: str):
    arguments = {"config": ModelConfig(), "event_shape": EVENT, "generator": noise()} | change
    with pytest.raises(UsageError, match=said):
        VAE.from_config(**arguments)


@pytest.mark.parametrize("shape", [[1, 8, 8], torch.Size(EVENT), tuple(np.array(EVENT))])
def test_an_event_shape_may_be_any_sequence_of_integers(shape):
    model = VAE.from_config(ModelConfig(hidden=(4,)), shape, generator=noise())
    assert model.event_shape == EVENT
    assert {type(size) for size in model.event_shape} == {int}


def test_a_model_of_other_events_is_neither_trained_nor_evaluated():
    model = VAE(Encoder(2, 2), Kept(), 2)
    data = Dataset.from_arrays(np.random.default_rng(0).random((40, 8, 7)) < 0.5)
    for run in (
        lambda: train(model, data, TrainConfig(epochs=1)),
        lambda: evaluate(model, data, k=5, seed=0),
    ):
        with pytest.raises(UsageError, match=r"found rows of shape \(1, 8, 7\)"):
            run()
