"""The contract of a network: defaults, modules that the user gives, and the registry."""

import math
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from elboroom.config import ModelConfig, NetworkName
from elboroom.data.statistics import Statistics
from elboroom.errors import UsageError
from elboroom.infer import laplace
from elboroom.infer.observed import restrict_to_observed
from elboroom.model import vae
from elboroom.model.decoding import decoded_at_a_time
from elboroom.model.networks import NETWORK_KINDS, DecoderNetwork, decoder_network
from elboroom.model.networks.coders import FullyConnected, mlp_layers
from elboroom.model.vae import VAE
from tests.support.fit_cases import EVENT, generator, pictures

WIDE = 3 * 8 * 8


class Convolutional(DecoderNetwork):
    """A decoder with a wide convolution, and only the required members."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.first = nn.Linear(latents, 16)
        self.second = nn.ConvTranspose2d(1, 3, 2, stride=2)
        self.third = nn.Conv2d(3, 1, 2, stride=2)

    def forward(self, z: Tensor) -> Tensor:
        h = torch.tanh(self.first(z)).reshape(-1, 1, 4, 4)
        return self.third(torch.tanh(self.second(h))).view(*z.shape[:-1], *EVENT)

    @property
    def widest_activation(self) -> int:
        return WIDE


class Shaped(nn.Module):
    """A module of the user's own, which knows no contract."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 40), nn.Tanh(), nn.Linear(40, 16))

    def forward(self, z: Tensor) -> Tensor:
        return self.net(z).unflatten(-1, EVENT)


class Own(nn.Module):
    """The wide convolution in a module that knows no contract."""

    def __init__(self) -> None:
        super().__init__()
        layers = Convolutional(2)
        self.first, self.second, self.third = layers.first, layers.second, layers.third

    def forward(self, z: Tensor) -> Tensor:
        h = torch.tanh(self.first(z)).reshape(-1, 1, 4, 4)
        return self.third(torch.tanh(self.second(h))).view(*z.shape[:-1], *EVENT)


class Widened(nn.Module):
    """A module without a linear layer."""

    def forward(self, z: Tensor) -> Tensor:
        return z.repeat_interleave(8, -1).unflatten(-1, EVENT)


def model(decoder: nn.Module) -> VAE:
    built = VAE.from_config(ModelConfig(2, (8,)), EVENT, generator=generator())
    return VAE(built.encoder, decoder, 2).double().requires_grad_(False)


def decoders() -> list[nn.Module]:
    torch.manual_seed(0)
    return [Convolutional(2), Shaped()]


each_decoder = pytest.mark.parametrize("decoder", decoders(), ids=["contract", "module"])


def test_every_name_has_a_kind():
    assert set(NETWORK_KINDS) == set(get_args(NetworkName))


def test_the_required_members_are_required():
    with pytest.raises(TypeError, match=r"forward.*widest_activation"):
        DecoderNetwork()  # type: ignore[abstract]


def test_a_module_keeps_the_names_of_its_weights():
    names = [name for name in model(Shaped()).state_dict() if name.startswith("decoder")]
    layers = [f"decoder.net.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")]
    assert names == layers
    assert not decoder_network(Shaped()).state_dict()


@each_decoder
def test_by_default_a_decoder_is_not_restricted_and_has_no_output_bias(decoder):
    found = decoder_network(decoder)
    assert found.output_bias is None
    assert found.restricted_to(torch.arange(3)) is None
    whole, (x, mask) = model(decoder), pictures(3, seed=1)
    small, same, _ = restrict_to_observed(whole, x, mask)
    assert small.decoder is decoder
    assert same is x


@each_decoder
def test_by_default_the_jacobian_is_that_of_reverse_mode(decoder):
    whole, z = model(decoder), torch.randn(5, 2, generator=generator(3), dtype=torch.float64)
    value, jacobian = whole.decoder_jacobian(z)
    expected = torch.func.jacrev(lambda z: decoder(z).sum(0))(z).movedim((-1, -2), (0, 1))
    torch.testing.assert_close(value, decoder(z))
    torch.testing.assert_close(jacobian, expected)


@pytest.mark.parametrize(
    ("decoder", "widest"),
    [(Convolutional(2), WIDE), (Shaped(), 40), (Widened(), 16), (Own(), WIDE)],
)
def test_as_many_are_decoded_together_as_the_widest_activation_allows(decoder, widest):
    x = torch.zeros(3, *EVENT, dtype=torch.float64)
    assert decoded_at_a_time(model(decoder), x) == (12 << 20) // (8 * widest)


@each_decoder
def test_inference_needs_only_the_required_members(decoder):
    x, mask = pictures(3, seed=1)
    found = laplace(model(decoder), x, mask, generator=generator())
    assert found.elbo.isfinite().all()


def test_a_network_without_an_output_bias_cannot_start_at_the_mean(monkeypatch):
    class Other(FullyConnected):
        def decoder(self, config, event_shape, generator):
            return Convolutional(config.latents)

    monkeypatch.setitem(vae.NETWORK_KINDS, "mlp", Other(mlp_layers))
    with pytest.raises(UsageError, match="a Convolutional has no output bias"):
        VAE.from_config(
            ModelConfig(2, (8,), data_bias=True),
            EVENT,
            generator=generator(),
            statistics=Statistics(*torch.full((3, *EVENT), 0.5)),
        )


@pytest.mark.parametrize("name", get_args(NetworkName))
def test_a_kind_has_its_least_weights_or_more(name):
    config = ModelConfig(3, (9, 9), network=name)
    built = VAE.from_config(config, EVENT, generator=generator())
    least = NETWORK_KINDS[name].least_weights(config, EVENT, EVENT, 6)
    assert 9 * (math.prod(EVENT) + 3) * 2 < least < sum(p.numel() for p in built.parameters())


@pytest.mark.parametrize("name", [name for name in get_args(NetworkName) if name != "ladder"])
def test_an_encoder_that_there_is_not_has_no_weights(name):
    config = ModelConfig(3, (9, 9), network=name, posterior="laplace")
    built = VAE.from_config(config, EVENT, generator=generator())
    weights = sum(p.numel() for p in built.parameters())
    assert 9 * 3 < NETWORK_KINDS[name].least_weights(config, EVENT, EVENT, 0) < weights
