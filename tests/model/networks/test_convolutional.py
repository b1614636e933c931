"""Convolutional networks: any size, the layers in order, memory, and a linear one as an oracle."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from elboroom.config import ModelConfig, ObjectiveConfig
from elboroom.config.typed_tables import read
from elboroom.errors import UsageError
from elboroom.evaluation.calibration import sbc_ranks, uniformity
from elboroom.infer import VariationalPosterior, grid, hmc, laplace
from elboroom.model.likelihoods import FixedNoise, GaussianPixels, ObservationModel
from elboroom.model.networks import NETWORK_KINDS, convolutional
from elboroom.model.networks.convolutional import ConvDecoder
from elboroom.model.networks.jacobian import _RULES, _elementwise, _linear_map, push
from elboroom.model.networks.layers import Convolution
from elboroom.model.networks.stages import default_channels, stages_of
from elboroom.model.vae import VAE
from elboroom.training.objective import bound
from tests.support.oracles import assert_mean, assert_rejected, random_masks

SIZES = [(1, 14, 14), (3, 15, 20), (1, 1, 1), (2, 3, 5), (1, 1, 40), (4, 7, 2)]
ANY_SIZE = pytest.mark.parametrize("event", SIZES, ids=str)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def options(**changes) -> ModelConfig:
    conv = ModelConfig(latents=3, hidden=(), activation="silu", network="conv", channels=(4,))
    return replace(conv, **changes)


def built(event: tuple[int, ...], seed: int = 0, **changes) -> VAE:
    """A float64 model whose biases and norms are not those of the start."""
    model = VAE.from_config(options(**changes), event, generator=generator(seed)).double()
    for p in model.parameters():
        noise = torch.randn(p.shape, generator=generator(seed + 1), dtype=p.dtype)
        p.data += 0.2 * noise if p.ndim == 1 else 0
    return model.eval().requires_grad_(False)


def numbers(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("size", "channels"),
    [
        ((1, 1), (32,)),
        ((8, 8), (32,)),
        ((16, 9), (32,)),
        ((28, 28), (32, 64)),
        ((45, 60), (32, 64, 128)),
        ((64, 64), (32, 64, 128)),
        ((128, 128), (32, 32, 64, 128)),
        ((256, 100), (32, 32, 32, 64, 128)),
    ],
)
def test_the_channels_follow_from_the_size(size, channels):
    assert default_channels(*size) == channels
    halved = stages_of(options(channels="auto"), (3, *size))
    assert [stage.channels for stage in halved] == list(channels)
    assert max(halved[-1].size) <= 8
    assert [stage.blocks for stage in halved] == [int(max(s.size) <= 32) for s in halved]


@ANY_SIZE
@pytest.mark.parametrize("channels", ["auto", (5,)])
def test_pictures_of_any_size_and_number_of_channels(event, channels):
    model = VAE.from_config(options(channels=channels), event, generator=generator()).eval()
    x, z = torch.rand(2, *event), torch.randn(2, 4, 3)
    assert [p.shape for p in model.encoder(x)] == [(2, 3), (2, 3)]
    assert model.decoder(z).shape == (2, 4, *event)
    torch.testing.assert_close(model.decoder(z)[1, 2], model.decoder(z[1, 2]))


@ANY_SIZE
def test_every_pixel_is_seen_and_drawn(event):
    """Odd sides are padded and cropped; no row or column is lost there."""
    channels = (4,) * min(3, max(1, math.ceil(math.log2(max(event[1:])))))
    model, x = built(event, channels=channels), numbers(1, *event).requires_grad_()
    with torch.enable_grad():
        gradient = torch.autograd.grad(model.encoder(x)[0].sum(), x)[0]
    assert (gradient != 0).all()
    assert (model.decoder_jacobian(numbers(1, 3))[1] != 0).any(0).all()


def test_only_pictures_are_taken():
    for shape in ((7,), (28, 28), (1, 2, 3, 4)):
        with pytest.raises(UsageError, match="needs pictures") as caught:
            VAE.from_config(options(), shape, generator=generator())
        assert "--network mlp" in str(caught.value)
        with pytest.raises(UsageError, match="needs pictures"):
            NETWORK_KINDS["conv"].least_weights(options(), shape, shape, 6)


def test_a_picture_cannot_be_halved_for_ever():
    stages_of(options(channels=(2,) * 5), (1, 20, 28))
    with pytest.raises(UsageError, match="20 × 28 pixels can be halved 5 times"):
        stages_of(options(channels=(2,) * 6), (1, 20, 28))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": ()}, "channels must be auto, or widths of 1 or more"),
        ({"channels": (8, 0)}, "channels must be auto, or widths of 1 or more"),
        ({"network": "mlp"}, "with conv or ladder"),
        ({"network": "package.module:factory"}, "with conv or ladder"),
        ({"normalisation": "batch"}, "none, layer or group with conv and ladder"),
        (
            {"network": "gated", "channels": "auto", "normalisation": "group"},
            "except with conv and ladder",
        ),
    ],
)
def test_options_that_mean_nothing_are_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        options(**changes)


def test_channels_are_read_from_tables():
    table = {"network": "conv", "hidden": []}
    assert read(ModelConfig, table | {"channels": [8, 16]}).channels == (8, 16)
    assert read(ModelConfig, table | {"channels": "auto"}).channels == "auto"
    with pytest.raises(UsageError, match="channels cannot be 'wide'"):
        read(ModelConfig, table | {"channels": "wide"})


def test_the_layers_are_those_of_a_plain_computation():
    """Stem, block, halving, block, vector; and back, by functions on rows-first memory."""
    model = built((2, 5, 6), channels=(4, 6), hidden=(7,), activation="tanh")
    x, z = numbers(3, 2, 5, 6), numbers(4, 3)
    weights = iter(model.encoder.parameters())

    def pair() -> tuple[Tensor, Tensor]:
        return next(weights), next(weights)

    def block(h: Tensor) -> Tensor:
        inner = F.conv2d(torch.tanh(h), *pair(), padding=1)
        return h + F.conv2d(torch.tanh(inner), *pair(), padding=1)

    # 5 × 6 → 3 × 3 → 2 × 2: an odd side has one pixel more of padding
    h = block(F.conv2d(x, *pair(), stride=2, padding=(2, 1)))
    h = block(F.conv2d(torch.tanh(h), *pair(), stride=2, padding=1))
    h = torch.tanh(h).permute(0, 2, 3, 1).reshape(3, -1)
    h = F.linear(torch.tanh(F.linear(h, *pair())), *pair())
    torch.testing.assert_close(torch.cat(model.encoder(x), -1), h)

    weights = iter(model.decoder.parameters())
    h = F.linear(torch.tanh(F.linear(z, *pair())), *pair())
    h = block(h.reshape(4, 2, 2, 6).permute(0, 3, 1, 2).contiguous())
    h = F.conv2d(torch.tanh(h), *pair())
    h = block(h[:, :, [0, 0, 1]][..., [0, 0, 1]])
    h = F.conv2d(torch.tanh(h), next(weights), padding=1)
    # channel c of the output has channels 4c to 4c + 3, a square of 2 × 2 pixels
    h = h.view(4, 2, 2, 2, 3, 3).permute(0, 1, 4, 2, 5, 3).reshape(4, 2, 6, 6)[:, :, :5]
    torch.testing.assert_close(model.decoder(z), h + next(weights).view(2, 5, 6))
    assert next(weights, None) is None


@pytest.mark.parametrize("event", [(1, 28, 28), (3, 20, 12)], ids=str)
def test_feature_maps_lie_channels_last_and_pictures_do_not(event):
    model, wrong = built(event, channels=(4, 8)), []

    def look(layer: nn.Module, given: object, output: Tensor) -> None:
        if not output.is_contiguous(memory_format=torch.channels_last):
            wrong.append(layer)

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Upsample | nn.SiLU):
            layer.register_forward_hook(look)
    model.encoder(numbers(3, *event).contiguous())
    output = model.decoder(numbers(5, 3))
    assert not wrong
    assert output.is_contiguous()


@pytest.mark.parametrize(
    "changes",
    [{"channels": (4, 8)}, {"channels": (2,), "hidden": (5_000,)}, {"channels": (1,)}],
    ids=["feature maps", "a vector", "pixels"],
)
def test_the_widest_layer_is_known(changes):
    decoder, sizes = built((3, 20, 12), **changes).decoder, list[int]()
    for layer in decoder.modules():
        layer.register_forward_hook(lambda layer, given, output: sizes.append(output.numel()))
    decoder(numbers(1, 3))
    assert decoder.widest_activation == max(sizes)


def test_rows_are_encoded_in_parts_where_there_are_no_gradients(monkeypatch):
    event, sizes = (1, 6, 6), list[int]()
    whole, x = built(event), numbers(10, *event)
    with torch.enable_grad():
        expected = whole.encoder(x)
    monkeypatch.setattr(convolutional, "_VALUES_AT_A_TIME", 3 * 4 * 9 + 1)  # three rows
    small = built(event)
    small.encoder.trunk.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    with torch.no_grad():
        torch.testing.assert_close(small.encoder(x), expected)
    assert sizes == [3, 3, 3, 1]


@pytest.mark.parametrize("event", [(1, 1, 1), (2, 9, 1), (3, 40, 2), (1, 64, 3)], ids=str)
def test_the_gradients_of_narrow_pictures_are_those_of_float32_in_bfloat16(event):
    """oneDNN's own padding of maps one pixel wide gave numbers up to 1e37."""
    found = list[list[Tensor]]()
    for enabled in (True, False):
        model = VAE.from_config(options(channels="auto"), event, generator=generator())
        x = torch.rand(8, *event, generator=generator(1))
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            output = torch.cat(model.encoder(x), -1)
        found.append(list(torch.autograd.grad(output.sum(), list(model.encoder.parameters()))))
    for narrow, wide in zip(*found, strict=True):
        assert (narrow - wide).abs().max() < 0.05 * wide.abs().max() + 1e-3


CONVOLUTIONS = [
    Convolution(4, 6, 2, stride=2, padding=(1, 2)),
    nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2),
    nn.Conv2d(4, 2, 3, padding=2, padding_mode="reflect", bias=False),
    nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2),
    nn.ConvTranspose2d(4, 2, 2, bias=False),
    nn.PixelShuffle(2),
    nn.PixelUnshuffle(2),
    nn.Upsample(scale_factor=2),
    nn.Upsample(size=(5, 9), mode="bilinear"),
    nn.AvgPool2d(2),
    nn.Flatten(),
    nn.Unflatten(1, (2, 2)),
    nn.GroupNorm(2, 4),
    nn.GroupNorm(1, 4, affine=False),
]


@pytest.mark.parametrize("layer", CONVOLUTIONS, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_each_rule_of_a_layer_of_pictures_is_that_of_autograd(layer, memory):
    layer = layer.double()
    for p in layer.parameters():
        p.data = numbers(*p.shape, seed=5)
    x = numbers(3, 4, 6, 4).to(memory_format=memory)
    tangents = numbers(2, 3, 4, 6, 4, seed=3)
    assert type(layer) in _RULES
    value, moved = push(layer, x, tangents)
    torch.testing.assert_close(value, layer(x))
    for tangent, found in zip(tangents, moved, strict=True):
        expected = torch.autograd.functional.jvp(layer, x, tangent)[1]
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(
    ("layer", "rule"),
    [(Convolution, _linear_map), (nn.GroupNorm, _elementwise), (nn.GroupNorm, _linear_map)],
)
def test_a_rule_that_is_wrong_is_noticed(monkeypatch, layer, rule):
    decoder, z = built((1, 6, 6), normalisation="group", channels=(32,)).decoder, numbers(2, 3)
    expected = torch.autograd.functional.jacobian(lambda z: decoder(z).sum(0), z)
    expected = expected.movedim((-1, -2), (0, 1))
    torch.testing.assert_close(decoder.jacobian(z)[1], expected)
    monkeypatch.setitem(_RULES, layer, rule)
    found = decoder.jacobian(z)[1]
    assert_rejected(lambda: torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3))


class LinearConvolution:
    """A decoder of linear convolutions under unit noise: evidence and posterior are known."""

    event = (2, 5, 6)

    def __init__(self) -> None:
        changes = {"activation": "identity", "channels": (4, 6), "likelihood": "gaussian"}
        model = built(self.event, **changes, noise=1.0, standardise="none")
        unit = ObservationModel(GaussianPixels, FixedNoise(torch.ones((), dtype=torch.float64)))
        self.model = VAE(model.encoder, model.decoder, 3, unit).requires_grad_(False)
        self.bias = self.model.decoder(torch.zeros(3).double()).flatten()
        steps = self.model.decoder(torch.eye(3).double()).flatten(1)
        self.weight = (steps - self.bias).T

    def data(self, rows: int) -> tuple[Tensor, Tensor]:
        x = self.model.generate(rows, generator=generator(4))[1]
        return x, random_masks(rows, len(self.bias), 5).view_as(x)

    def exact(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log evidence, and mean and covariance of the posterior, of one row."""
        w, rest = self.weight[seen.flatten()], (x.flatten() - self.bias)[seen.flatten()]
        covariance = torch.linalg.inv(torch.eye(3).double() + w.T @ w)
        evidence = torch.zeros(()).double()
        if len(w):
            noise = torch.eye(len(w)).double()
            evidence = MultivariateNormal(torch.zeros_like(rest), w @ w.T + noise).log_prob(rest)
        return evidence, covariance @ w.T @ rest, covariance


def test_linear_convolutions_have_the_posterior_of_factor_analysis():
    oracle = LinearConvolution()
    x, mask = oracle.data(5)
    rows = [oracle.exact(*row) for row in zip(x, mask, strict=True)]
    evidence, mean, covariance = (torch.stack(part) for part in zip(*rows, strict=True))
    found = laplace(oracle.model, x, mask, generator=generator())
    torch.testing.assert_close(found.elbo, evidence, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.mean, mean, atol=1e-3, rtol=0)
    torch.testing.assert_close(found.q.covariance, covariance, atol=1e-3, rtol=0)


def test_posteriors_under_linear_convolutions_are_calibrated():
    """Rows that the model draws, and the planted bug: a posterior half as wide."""
    oracle, g = LinearConvolution(), generator(6)
    mask = torch.arange(math.prod(oracle.event)).view(oracle.event) % 3 > 0

    def ranks(widen: float) -> Tensor:
        def method(model: VAE, x: Tensor, mask: Tensor) -> VariationalPosterior:
            fit = laplace(model, x, mask, generator=g, refine=False, starts=1)
            return replace(fit, q=fit.q.widened(widen))

        return sbc_ranks(oracle.model, method, rows=400, draws=99, generator=g, mask=mask)

    assert_uniform(ranks(1.0))
    assert_rejected(lambda: assert_uniform(ranks(0.5)))


@pytest.mark.parametrize(
    ("normalisation", "likelihood"),
    [("group", "bernoulli"), ("layer", "discretized-logistic-mixture")],
)
def test_the_evidence_of_any_channels_is_that_of_a_grid(normalisation, likelihood):
    """Beside the mean over N(0, I), and the planted bug: a mask of whole pixels."""
    changes = {"latents": 1, "channels": (32,), "normalisation": normalisation}
    model = built((2, 3, 2), **changes, likelihood=likelihood)
    x, mask = torch.ones(3, 2, 3, 2).double(), random_masks(3, 12, 7).view(3, 2, 3, 2)
    exact = grid(model, x, mask, generator=generator())
    z = torch.randn(2_000, 1, 1, generator=generator(3), dtype=torch.float64)

    def assert_agree(mask: Tensor) -> None:
        # E[p(x_seen | z)] / p(x_seen) = 1,  z ~ N(0, I)
        likelihood = model.log_likelihood(x, z.expand(-1, 3, -1), mask)
        assert_mean((likelihood - exact.log_evidence).exp(), torch.ones(3).double())

    assert_agree(mask)
    assert_rejected(lambda: assert_agree(mask.any(1, keepdim=True).expand_as(mask)))


def assert_uniform(ranks: Tensor) -> None:
    assert uniformity(ranks, 99).min() > 1e-3


@pytest.mark.full
def test_chains_under_linear_convolutions_have_the_exact_moments():
    oracle = LinearConvolution()
    x, mask = oracle.data(5)
    walk = hmc(oracle.model, x, mask, generator=generator(), chains=32, warmup=60, draws=100)
    for row, (pixels, seen) in enumerate(zip(x, mask, strict=True)):
        _, mean, covariance = oracle.exact(pixels, seen)
        error = (covariance.diagonal() / walk.ess[row]).sqrt()
        assert ((walk.mean[row] - mean).abs() < 4.5 * error).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"prior": "vamp", "components": 3},
        {"prior": "mixture", "components": 3},
        {"posterior": "full", "likelihood": "continuous-bernoulli"},
        {"posterior": "flow", "likelihood": "bernoulli", "normalisation": "layer"},
        {"likelihood": "discretized-logistic-mixture", "normalisation": "group"},
    ],
    ids=lambda changes: "-".join(map(str, changes.values())),
)
def test_every_weight_has_a_gradient_whatever_the_densities(changes):
    event = (2, 6, 5)
    x = torch.rand(8, *event, generator=generator()).round()
    images = x[:3] if changes.get("prior") == "vamp" else None
    model = VAE.from_config(options(**changes), event, generator=generator(), images=images)
    mask = torch.rand(x.shape, generator=generator(1)) < 0.7
    objective = ObjectiveConfig("iwae", k=3)
    found = bound(model, x, mask, config=objective, generator=generator(2))
    found.value.sum().backward()
    networks = nn.ModuleList([model.encoder, model.decoder])
    for name, p in networks.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
        assert p.grad.abs().max() > 0, name


def test_the_mean_of_draws_is_the_mean_that_is_decoded():
    model = built((1, 3, 4), likelihood="bernoulli")
    z = numbers(3).expand(20_000, 3)
    density = model.decode(z)
    assert_mean(density.sample(generator(8)).flatten(1), density.mean[0].flatten())


def test_a_decoder_has_the_shape_that_it_is_asked_for():
    decoder = NETWORK_KINDS["conv"].decoder(options(), (7, 9, 5), generator())
    assert isinstance(decoder, ConvDecoder)
    assert decoder(torch.zeros(2, 3)).shape == (2, 7, 9, 5)


def test_the_four_pixels_of_a_position_begin_alike():
    """Else the first pictures are a checkerboard, which training does not take away."""
    model = VAE.from_config(options(channels=(4, 4)), (2, 8, 6), generator=generator())
    pixels = model.decoder(numbers(3, 3).float()).unflatten(3, (3, 2)).unflatten(2, (4, 2))
    torch.testing.assert_close(pixels, pixels[:, :, :, :1, :, :1].expand_as(pixels))
    assert pixels.std() > 0


@pytest.mark.parametrize("event", [(3, 45, 60), (1, 70, 2)], ids=str)
def test_weights_are_counted_before_they_are_drawn(event):
    """All but biases; at 35 rows a stage has no block."""
    config = options(channels=(5, 6), hidden=(7, 8))
    model = VAE.from_config(config, event, generator=generator())
    matrices = sum(p.numel() for p in model.parameters() if p.ndim > 1)
    assert NETWORK_KINDS["conv"].least_weights(config, event, event, 6) == matrices
    for large in ((2**40, 1), (1, 2**40)):
        huge = replace(config, channels=large)
        assert NETWORK_KINDS["conv"].least_weights(huge, event, event, 6) > 2**40
