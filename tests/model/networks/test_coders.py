import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

from elboroom.config import ModelConfig, ObjectiveConfig
from elboroom.data.statistics import Statistics
from elboroom.errors import UsageError
from elboroom.infer import encoder, grid, hmc, laplace, sir, svi
from elboroom.infer.target import Target
from elboroom.model.networks.coders import Decoder, FullyConnected, mlp_layers
from elboroom.model.networks.jacobian import _RULES, _elementwise, push
from elboroom.model.networks.layers import BatchNorm, Gated, Residual
from elboroom.model.vae import VAE
from elboroom.runs import checkpoints
from elboroom.training.objective import bound
from elboroom.training.state import new_state
from tests.support.fit_cases import EVENT, generator, pictures
from tests.support.oracles import assert_rejected

KINDS = list(itertools.product(["mlp", "gated", "residual"], ["none", "layer", "batch"]))
ACTIVATIONS = ["tanh", "relu", "silu", "softplus", "identity"]
every_kind = pytest.mark.parametrize("kind", KINDS, ids="-".join)
# each network and each norm once; the other pairs repeat them
FIRST = [("mlp", "batch"), ("gated", "none"), ("residual", "layer")]
every_kind_in_full = pytest.mark.parametrize(
    "kind",
    [pytest.param(k, marks=[] if k in FIRST else pytest.mark.full) for k in KINDS],
    ids="-".join,
)
with_batch_norm = pytest.mark.parametrize("kind", [k for k in KINDS if k[1] == "batch"])


def options(kind, latents=3, hidden=(9, 9), activation="silu", **more):
    name, normalisation = kind
    return ModelConfig(latents, hidden, activation, name, normalisation, **more)


def built(kind, seed=0, **more):
    return VAE.from_config(options(kind, **more), EVENT, generator=generator(seed))


def lived_in(kind, seed=0, **more):
    """A float64 model as training may leave it: norms that scale and shift, and statistics."""
    model = built(kind, seed, **more).double()
    g = generator(seed + 1)
    for p in model.parameters():
        p.data += 0.4 * torch.randn(p.shape, generator=g, dtype=p.dtype)
    for _ in range(5):
        x = (torch.rand(50, *EVENT, generator=g) < 0.4).double()
        model.log_weights(x, 2, generator=g)
    return model.eval().requires_grad_(False)


def points(rows=5, latents=3):
    return torch.randn(rows, latents, generator=generator(3), dtype=torch.float64)


def jacobian_of(decoder, z):
    """(D, B, *event), by reverse mode of the sum over rows, each of which moves alone."""
    return torch.func.jacrev(lambda z: decoder(z).sum(0))(z).movedim((-1, -2), (0, 1))


@every_kind
@pytest.mark.parametrize("hidden", [(9,), (9, 9, 9)])
def test_shapes(kind, hidden):
    model, x = built(kind, hidden=hidden), torch.rand(6, *EVENT).round()
    q = model.posterior(x)
    assert q.mean.shape == q.log_std.shape == (6, 3)
    z = q.sample(2, generator())
    assert model.decoder(z).shape == (2, 6, *EVENT)
    assert model.log_weights(x, 4, generator=generator()).shape == (4, 6)
    model.eval()
    assert model.decoder(z[0, 0]).shape == EVENT
    torch.testing.assert_close(model.decoder(z)[1, 2], model.decoder(z[1, 2]))


@pytest.mark.parametrize("name", ["mlp", "gated"])
def test_widths_differ_where_they_may_and_are_mirrored(name):
    model = built((name, "layer"), hidden=(8, 6))
    wide = 2 if name == "gated" else 1
    weights = [tuple(p.shape) for p in model.parameters() if p.ndim == 2]
    assert weights[:3] == [(8 * wide, 16), (6 * wide, 8), (6, 6)]
    assert weights[3:] == [(6 * wide, 3), (8 * wide, 6), (16, 8)]


@pytest.mark.parametrize("hidden", [(), (8, 6)])
def test_residual_blocks_of_different_widths_are_refused(hidden):
    with pytest.raises(UsageError, match="the same width for every block"):
        ModelConfig(network="residual", hidden=hidden)


def test_a_plain_mlp_has_the_weights_and_names_that_it_always_had():
    model, g = built(("mlp", "none"), hidden=(8, 6), activation="tanh"), generator()
    drawn = {}
    for part, widths in (("encoder", [16, 8, 6, 6]), ("decoder", [3, 6, 8, 16])):
        for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(widths)):
            for name, shape in (("weight", (fan_out, fan_in)), ("bias", (fan_out,))):
                uniform = torch.empty(shape).uniform_(-1, 1, generator=g) * fan_in**-0.5
                drawn[f"{part}.trunk.{2 * layer}.{name}"] = uniform
    assert list(model.state_dict()) == list(drawn)
    torch.testing.assert_close(dict(model.state_dict()), drawn)
    layers = [nn.Linear, nn.Tanh, nn.Linear, nn.Tanh, nn.Linear]
    assert [type(layer) for layer in model.encoder.trunk] == layers


@every_kind
def test_the_generator_gives_all_weights_and_the_global_state_stays(kind):
    before = torch.get_rng_state()
    model, again, other = built(kind), built(kind), built(kind, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    weights = zip(model.parameters(), again.parameters(), other.parameters(), strict=True)
    for a, b, c in weights:
        assert torch.equal(a, b)
        assert torch.equal(a, c) == (a.unique().numel() == 1)  # the 0s and 1s of a norm


@every_kind
def test_every_parameter_gets_a_gradient(kind):
    model, x = lived_in(kind).requires_grad_(), pictures(20, seed=1)[0]
    model.train()
    bound(model, x, config=ObjectiveConfig(), generator=generator()).value.sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    # by running statistics too, or the biases that a batch's mean takes away would have none
    model.eval().zero_grad()
    bound(model, x, config=ObjectiveConfig(), generator=generator()).value.sum().backward()
    assert all(p.grad.abs().max() > 1e-6 for p in model.parameters())


def test_a_gated_layer_is_the_product_of_a_layer_and_its_gate():
    layer = lived_in(("gated", "layer"), activation="tanh").encoder.trunk[0]
    x = points(5, 16)
    (w, v), (b, c) = layer.affine.weight.chunk(2), layer.affine.bias.chunk(2)
    a, norm = x @ w.T + b, layer.nonlinearity[0]
    a = (a - a.mean(-1, True)) / (a.var(-1, correction=0, keepdim=True) + norm.eps).sqrt()
    expected = torch.tanh(norm.weight * a + norm.bias) / (1 + torch.exp(-(x @ v.T + c)))
    torch.testing.assert_close(layer(x), expected)


def test_a_residual_block_adds_two_layers_each_behind_its_activation():
    trunk = lived_in(("residual", "none"), activation="tanh").decoder.trunk
    first, *blocks, last_activation, head = trunk
    assert [type(block) for block in blocks] == [Residual] * 2
    z = points()
    expected = first(z)
    for block in blocks:
        _, one, _, two = block.branch
        inner = torch.tanh(expected) @ one.weight.T + one.bias
        expected = expected + torch.tanh(inner) @ two.weight.T + two.bias
    torch.testing.assert_close(trunk(z), head(torch.tanh(expected)))
    assert isinstance(last_activation, nn.Tanh)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@every_kind
def test_the_jacobian_is_that_of_autograd(kind, activation):
    decoder, z = lived_in(kind, activation=activation).decoder, points()
    value, jacobian = decoder.jacobian(z)
    torch.testing.assert_close(value, decoder(z))
    torch.testing.assert_close(jacobian, jacobian_of(decoder, z), atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize(("layer", "kind"), [(nn.LayerNorm, "layer"), (BatchNorm, "batch")])
@pytest.mark.parametrize("name", ["mlp", "gated", "residual"])
def test_a_norm_whose_derivative_is_taken_wrongly_is_noticed(monkeypatch, name, layer, kind):
    decoder, z = lived_in((name, kind)).decoder, points()
    rule = _elementwise if kind == "layer" else lambda norm, x, t: (norm(x), t)
    monkeypatch.setitem(_RULES, layer, rule)
    found, expected = decoder.jacobian(z)[1], jacobian_of(decoder, z)
    assert_rejected(lambda: torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3))


class Doubled(nn.Linear):
    """Not what its base class computes."""

    def forward(self, x):
        return 2 * super().forward(x)


@pytest.mark.parametrize(
    "layer",
    [
        nn.Softmax(-1),
        nn.LayerNorm((8,), elementwise_affine=False),
        nn.LayerNorm((8,), bias=False),
        nn.Sequential(nn.Unflatten(-1, (2, 4)), nn.LayerNorm((2, 4)), nn.Flatten(-2)),
        nn.RMSNorm(8),
        nn.GroupNorm(2, 8),
        nn.BatchNorm1d(8).eval(),
        nn.PReLU(8),
        Doubled(8, 8),
        nn.Sequential(Doubled(8, 8), nn.GELU()),
        Gated(nn.Linear(8, 16), nn.Sequential(nn.Softmax(-1))),
        Residual(nn.Sequential(nn.CELU(), nn.Linear(8, 8, bias=False))),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_that_are_not_known_are_differentiated_too(layer):
    g = generator(5)
    trunk = nn.Sequential(nn.Linear(3, 8), layer, nn.Linear(8, 16)).double()
    for p in trunk.parameters():
        p.data = torch.randn(p.shape, generator=g, dtype=p.dtype)
    decoder, z = Decoder(trunk, EVENT), points()
    with torch.no_grad():
        value, jacobian = decoder.jacobian(z)
    torch.testing.assert_close(value, decoder(z))
    torch.testing.assert_close(jacobian, jacobian_of(decoder, z), atol=1e-12, rtol=1e-12)


def test_tangents_go_on_from_where_they_are():
    layer, z = Residual(nn.Sequential(nn.Linear(3, 3), nn.Tanh())).double(), points()
    tangents = torch.randn(2, 5, 3, generator=generator(), dtype=torch.float64)
    expected = [torch.func.jvp(layer, (z,), (t,))[1] for t in tangents]
    torch.testing.assert_close(push(layer, z, tangents)[1], torch.stack(expected))


@every_kind
def test_a_decoder_of_some_pixels_gives_those_pixels(kind):
    decoder, z = lived_in(kind).decoder, points()
    pixels = torch.tensor([7, 0, 12])
    some = decoder.restricted_to(pixels)
    torch.testing.assert_close(some(z), decoder(z).flatten(1)[:, pixels])
    whole, part = decoder.jacobian(z)[1], some.jacobian(z)[1]
    torch.testing.assert_close(part, whole.flatten(2)[..., pixels])


@every_kind
def test_products_in_bfloat16_give_float32_near_the_same(kind):
    model = lived_in(kind).float()
    x, z = pictures(6, seed=2)[0].float(), points().float()
    with torch.autocast("cpu", torch.bfloat16):
        found = (*model.encoder(x), model.decoder(z), *model.decoder.jacobian(z))
    expected = (*model.encoder(x), model.decoder(z), *model.decoder.jacobian(z))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() < 0.05 * b.norm()  # eight bits of significand


@every_kind
def test_every_number_of_a_model_is_kept_with_it(kind, tmp_path):
    model, x = lived_in(kind).float().requires_grad_(), pictures(4, seed=2)[0].float()
    checkpoints.write(tmp_path, checkpoints.capture(model, new_state(model)))
    again = built(kind, seed=9).eval()
    checkpoints.load(tmp_path, again)
    assert torch.equal(again.posterior(x).mean, model.posterior(x).mean)
    assert torch.equal(again.decoder(points().float()), model.decoder(points().float()))


def steps(model, state, count):
    """Steps of Adam as training takes them, each with data and noise of its own."""
    for _ in range(count):
        g = generator(state.step)
        x = torch.rand(8, *EVENT, generator=g).round()
        state.optimiser.zero_grad()
        (-bound(model, x, config=ObjectiveConfig(), generator=g).value.mean()).backward()
        state.optimiser.step(1e-3)
        state.step += 1
    return model, state


@every_kind
def test_training_that_goes_on_from_a_checkpoint_ends_at_the_same_bits(kind, tmp_path):
    def begin(seed):
        model = built(kind, seed)
        return model, new_state(model)

    whole, _ = steps(*begin(0), 5)
    checkpoints.write(tmp_path, checkpoints.capture(*steps(*begin(0), 3)))
    later, state = begin(1)
    checkpoints.load(tmp_path, later, state)
    steps(later, state, 2)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, later.state_dict()[name]), name


def test_batch_norm_takes_the_units_of_all_leading_axes_together():
    x = torch.randn(3, 4, 5, generator=generator(), dtype=torch.float64) * 3 + 2
    norm = BatchNorm(5).double()
    y = norm(x)
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(5).double())
    torch.testing.assert_close(
        y.var((0, 1), correction=0), torch.ones(5).double(), rtol=1e-4, atol=0
    )
    torch.testing.assert_close(norm.running_mean, 0.1 * x.mean((0, 1)))
    running = (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt()
    torch.testing.assert_close(norm.eval()(x), running)


def test_a_batch_of_one_image_is_trained_on_by_the_running_statistics():
    model = lived_in(("mlp", "batch"))
    before, x = copy_of(model), pictures(1, seed=1)[0]
    found = model.posterior(x).mean
    assert torch.equal(model.train().posterior(x).mean, found)
    assert all(torch.equal(a, before[name]) for name, a in model.state_dict().items())


def copy_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@with_batch_norm
def test_inference_refuses_batch_norm_in_training_mode(kind):
    x, mask = pictures(4, seed=2)
    model = lived_in(kind, latents=2).train()
    before = copy_of(model)
    for method in (encoder, laplace, svi, hmc, sir, grid):
        for seen in (mask, None):
            with pytest.raises(UsageError, match=r"call model\.eval\(\)"):
                method(model, x, seen, generator=generator())
    with pytest.raises(UsageError, match="training mode"):
        model.decoder.jacobian(points(4, 2))
    assert all(torch.equal(a, before[name]) for name, a in model.state_dict().items())


@pytest.mark.parametrize("normalisation", ["none", "layer"])
def test_without_batch_norm_the_mode_does_not_matter(normalisation):
    x, mask = pictures(4, seed=2)
    model = lived_in(("residual", normalisation), latents=2)
    settled = grid(model, x, mask, generator=generator()).log_evidence
    assert torch.equal(grid(model.train(), x, mask, generator=generator()).log_evidence, settled)


@every_kind
def test_the_answer_of_a_row_does_not_depend_on_its_company(kind):
    model = lived_in(kind, latents=2)
    x, mask = pictures(6, seed=2)
    whole = laplace(model, x, mask, generator=generator())
    alone = laplace(model, x[2:4], mask[2:4], generator=generator())
    torch.testing.assert_close(whole.mean[2:4], alone.mean)
    torch.testing.assert_close(model.posterior(x).mean[:1], model.posterior(x[:1]).mean)


@every_kind_in_full
def test_every_method_agrees_with_the_grid(kind):
    model = lived_in(kind, latents=2)
    x, mask = pictures(4, seed=2)
    fits = [method(model, x, mask, generator=generator(1)) for method in (encoder, laplace, svi)]
    particles = sir(model, x, mask, generator=generator(2), proposal=fits[-1], widen=1.5)
    walk = hmc(model, x, mask, generator=generator(3), chains=32, warmup=60, draws=100)
    std = walk.covariance.diagonal(dim1=1, dim2=2).sqrt()

    def check_evidence(exact):
        for fit in fits:
            off = fit.elbo + exact.kl(fit.q) - exact.log_evidence
            assert (off.abs() < 4.5 * fit.elbo_standard_error + 1e-3).all()
        off = particles.log_evidence - exact.log_evidence
        assert (off.abs() < 4.5 * particles.log_evidence_standard_error).all()

    def check_mean(exact):
        assert ((walk.mean - exact.mean).abs() < 4.5 * std / walk.ess.sqrt()[:, None]).all()

    exact = grid(model, x, mask, generator=generator(), tolerance=1e-5)
    other = grid(lived_in(kind, 7, latents=2), x, mask, generator=generator(), tolerance=1e-5)
    for check in (check_evidence, check_mean):
        check(exact)
        assert_rejected(lambda check=check: check(other))
    assert (exact.kl(fits[1].q) < 0.1).all()


@every_kind
def test_the_curvature_that_methods_use_has_the_gradient_of_the_log_joint(kind):
    x, mask = pictures(5, seed=4)
    target = Target.of(lived_in(kind), x, mask)
    torch.testing.assert_close(target.curvature(points())[0], target.gradient(points()))


MEAN = torch.rand(EVENT, generator=generator(8))


@every_kind
def test_the_output_starts_at_the_mean_image_where_it_is_to(kind):
    mean = MEAN.clone()
    mean[0, 0, :3] = torch.tensor([0.0, 1.0, torch.nan])
    config = options(kind, data_bias=True)
    statistics = Statistics(mean, torch.ones(EVENT), torch.ones(EVENT))
    model = VAE.from_config(config, EVENT, generator=generator(), statistics=statistics)
    bias = model.decoder.trunk[-1].bias.unflatten(0, EVENT)
    mean[0, 0, :3] = torch.tensor([1e-3, 1 - 1e-3, 0.5])
    torch.testing.assert_close(bias.sigmoid(), mean)
    plain = built(kind).state_dict()
    unlike = [n for n, t in model.state_dict().items() if not torch.equal(t, plain[n])]
    assert unlike == [f"decoder.trunk.{len(model.decoder.trunk) - 1}.bias"]


OTHER = Statistics(*(MEAN.flatten(),) * 3)


@pytest.mark.parametrize(
    ("statistics", "why"),
    [(None, r"shape \(1, 4, 4\), found None"), (OTHER, r"of shape \(16,\); .* \(1, 4, 4\)")],
)
def test_the_output_cannot_start_at_a_mean_that_is_not_there(statistics, why):
    config = replace(ModelConfig(), data_bias=True)
    with pytest.raises(UsageError, match=why):
        VAE.from_config(config, EVENT, generator=generator(), statistics=statistics)


def test_a_network_may_have_no_hidden_layer():
    trunk = FullyConnected(mlp_layers).trunk([3, 16], ModelConfig(hidden=()), generator())
    assert [type(layer) for layer in trunk] == [nn.Linear]
