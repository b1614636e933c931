import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig
from elboroom.device import memory
from elboroom.errors import UsageError
from elboroom.model.vae import VAE
from tests.support.oracles import Constant, LinearGaussian, assert_mean, random_masks

EVENT = (1, 4, 5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_vae(latents=3, hidden=(7, 6), activation="tanh", seed=0):
    config = ModelConfig(latents=latents, hidden=hidden, activation=activation)
    return VAE.from_config(config, EVENT, generator=generator(seed))


@pytest.mark.parametrize("hidden", [(), (7,), (7, 6, 5)])
@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "softplus"])
def test_shapes(hidden, activation):
    model = small_vae(3, hidden, activation)
    x = torch.rand(6, *EVENT).round()
    q = model.posterior(x)
    assert q.mean.shape == q.log_std.shape == (6, 3)
    assert model.decode(q.sample(2, generator())).mean.shape == (2, 6, *EVENT)
    assert model.log_weights(x, 4, generator=generator()).shape == (4, 6)
    means, draws = model.generate(5, generator=generator())
    assert means.shape == draws.shape == (5, *EVENT)


def test_the_decoder_mirrors_the_encoder():
    widths = [tuple(p.shape) for n, p in small_vae().named_parameters() if n.endswith("weight")]
    assert widths == [(7, 20), (6, 7), (6, 6), (6, 3), (7, 6), (20, 7)]


def test_initial_weights_are_uniform_on_one_over_root_fan_in_and_given_by_the_generator():
    model = small_vae(hidden=(400,))
    weight = model.encoder.trunk[0].weight
    assert weight.abs().max() <= 20**-0.5
    assert_mean(weight.flatten().square(), 1 / 60)
    again, other = small_vae(hidden=(400,)), small_vae(hidden=(400,), seed=1)
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )
    assert not torch.equal(weight, other.encoder.trunk[0].weight)


def test_building_a_model_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    small_vae()
    assert torch.equal(before, torch.get_rng_state())


def test_log_joint_is_prior_plus_likelihood_and_integrates_to_the_evidence():
    exact = LinearGaussian(pixels=4, latents=1, seed=1)
    x, mask = exact.data(5, seed=2), random_masks(5, 4, seed=3)
    axis = torch.linspace(-9, 9, 2001, dtype=torch.float64)
    z = axis[:, None, None].expand(-1, 5, 1)
    log_joint = exact.model.log_joint(x, z, mask)
    evidence = torch.logsumexp(log_joint, 0) + (axis[1] - axis[0]).log()
    torch.testing.assert_close(evidence, exact.log_evidence(x, mask))


def test_log_weights_have_no_variance_when_q_is_the_posterior():
    exact = LinearGaussian(pixels=6, latents=2, seed=4, orthogonal=True)
    x = exact.data(1, seed=5)
    mask = torch.ones_like(x, dtype=torch.bool)
    mean, precision = exact.posterior(x, mask)
    exact.model.encoder = Constant(mean[0], -0.5 * precision[0].diagonal().log())
    log_weights = exact.model.log_weights(x, 50, generator=generator())
    torch.testing.assert_close(log_weights, exact.log_evidence(x, mask).expand(50, 1))


def test_the_average_weight_is_the_evidence_under_any_q_and_mask():
    exact = LinearGaussian(pixels=3, latents=2, seed=6)
    x, mask = exact.data(4, seed=7), random_masks(4, 3, seed=8)
    log_weights = exact.model.log_weights(x, 200_000, mask, generator=generator())
    ratio = (log_weights - exact.log_evidence(x, mask)).exp()
    assert_mean(ratio, 1.0)


def test_unseen_pixels_do_not_reach_the_encoder():
    model, x = small_vae(), torch.rand(3, *EVENT).round()
    mask = torch.rand(3, *EVENT) < 0.5
    noise = x.masked_fill(~mask, torch.nan)
    assert torch.equal(model.posterior(x, mask).mean, model.posterior(noise, mask).mean)


def test_log_joint_gradients_agree_with_finite_differences():
    model = small_vae().double()
    x, z = torch.rand(2, *EVENT).round().double(), torch.randn(3, 2, 3).double()
    mask = torch.rand(2, *EVENT) < 0.5
    assert torch.autograd.gradcheck(lambda z: model.log_joint(x, z, mask), z.requires_grad_())


def assert_same_networks(model, other, x, z):
    q, same = model.posterior(x), other.posterior(x)
    assert torch.equal(q.mean, same.mean)
    assert torch.equal(q.log_std, same.log_std)
    assert torch.equal(model.decode(z).mean, other.decode(z).mean)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_the_same_model_with_weights_of_its_own(duplicate):
    model, x, z = small_vae(), torch.rand(6, *EVENT).round(), torch.randn(2, 6, 3)
    other = duplicate(model)
    assert_same_networks(model, other, x, z)
    with torch.no_grad():
        next(other.decoder.parameters()).add_(1)
    with pytest.raises(AssertionError):
        assert_same_networks(model, other, x, z)


class AsNetwork(nn.Module):
    """Images and latents in, tensors out, as exporters want it."""

    def __init__(self, model: VAE):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q = self.model.posterior(x)
        return q.mean, q.log_std, self.model.decode(z).mean


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("export", ["trace", pytest.param("export", marks=pytest.mark.full)])
def test_a_model_can_be_traced_and_exported(export):
    network = AsNetwork(small_vae()).eval()
    given = torch.rand(6, *EVENT).round(), torch.randn(2, 6, 3)
    if export == "trace":
        exported = torch.jit.trace(network, given)
    else:
        exported = torch.export.export(network, given).module()
    other = torch.rand(6, *EVENT).round(), torch.randn(2, 6, 3)
    for found, expected in zip(exported(*other), network(*other), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda m, x, z: m.posterior(x.numpy()), r"found a ndarray; expected a tensor \(B, 1, 4"),
        (lambda m, x, z: m.posterior(x[0]), r"found a tensor \(1, 4, 4\) of torch.float32"),
        (lambda m, x, z: m.posterior(x, x), r"expected a tensor of booleans"),
        (lambda m, x, z: m.posterior(x, x[:2] > 0), r"booleans that broadcasts to \(3, 1, 4, 4\)"),
        (lambda m, x, z: m.decode(z.numpy()), r"found a ndarray; expected a tensor \(\.\.\., 2\)"),
        (lambda m, x, z: m.decode(z[:, :1]), r"found a tensor \(3, 1\)"),
        (lambda m, x, z: m.decode(3), r"found a int"),
        (lambda m, x, z: m.log_joint(x[:, 0], z), r"this x does not fit the model"),
        (lambda m, x, z: m.log_joint(x, z[:2]), r"\(\.\.\., 3, 2\), for the 3 rows of x"),
        (lambda m, x, z: m.log_joint(x, z[:, :1]), r"this z does not fit the model"),
        (lambda m, x, z: m.log_weights(x, 0, generator=generator()), "k must be positive"),
        (lambda m, x, z: m.log_weights(x, 2.5, generator=generator()), "k cannot be 2.5"),
        (lambda m, x, z: m.log_weights(x, 3, generator=0), "generator cannot be 0"),
        (
            lambda m, x, z: m.log_weights(x.numpy(), 3, generator=generator()),
            "x cannot be a ndarray",
        ),
        (lambda m, x, z: m.log_weights(x[:, 0], 3, generator=generator()), "this x does not fit"),
        (lambda m, x, z: m.log_weights(x, 10**13, generator=generator()), "of memory is needed"),
        (lambda m, x, z: m.generate(0, generator=generator()), "count must be positive"),
        (lambda m, x, z: m.generate("3", generator=generator()), "count cannot be '3'"),
        (lambda m, x, z: m.generate(3, generator=None), "generator cannot be None"),
        (lambda m, x, z: m.generate(10**13, generator=generator()), "of memory is needed"),
    ],
)
def test_a_model_names_what_it_cannot_compute_with(call, said, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda device: 1 << 40)
    model = VAE.from_config(ModelConfig(hidden=(4,)), (1, 4, 4), generator=generator()).eval()
    with pytest.raises(UsageError, match=said):
        call(model, torch.rand(3, 1, 4, 4), torch.randn(3, 2))
