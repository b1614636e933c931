"""Inference with networks of the user's own, in float32 and in bfloat16."""

from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from elboroom import VAE, infer
from elboroom.device import precision
from elboroom.infer.target import Target
from elboroom.model.networks import decoder_network
from tests.support.own_networks import EVENT, OwnDecoder, OwnEncoder

ROWS = 3


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Plain(nn.Sequential):
    """Three layers without any widening, as in the reports."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 64), nn.Unflatten(-1, EVENT))


def model(decoder: nn.Module) -> VAE:
    for number, weight in enumerate(decoder.parameters()):
        scale = 1.5 * weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.3
        weight.data = scale * torch.randn(weight.shape, generator=noise(number))
    torch.manual_seed(0)
    return VAE(OwnEncoder(2), decoder, 2).eval().requires_grad_(False)


def images(own: VAE) -> Tensor:
    return own.generate(ROWS, generator=noise(5))[1]


@pytest.fixture(params=[False, True], ids=["fp32", "bf16"])
def bfloat16(request):
    """Whether the hardware is said to multiply bfloat16."""
    with patch.object(precision, "_multiplies_bfloat16", lambda device: request.param):
        yield request.param


@pytest.mark.parametrize("decoder", [OwnDecoder, Plain])
def test_every_method_agrees_with_the_exact_grid(decoder, bfloat16):
    own = model(decoder() if decoder is Plain else decoder(2))
    x = images(own)
    exact = infer.grid(own, x, generator=noise())
    evidence = exact.log_evidence.float()
    fits = {
        "svi": infer.svi(own, x, generator=noise()),
        "svi full": infer.svi(own, x, generator=noise(), family="full"),
        "laplace": infer.laplace(own, x, generator=noise()),
    }
    for fit in fits.values():
        assert fit.elbo.dtype == torch.float32
        assert (fit.elbo < evidence + 0.05).all()
        assert (fit.elbo > evidence - 1.0).all()
    sir = infer.sir(own, x, generator=noise())
    error = (sir.log_evidence - evidence).abs()
    assert (error < 4 * sir.log_evidence_standard_error + 0.005).all()
    ais = infer.ais(own, x, generator=noise(), distributions=60, chains=8)
    torch.testing.assert_close(ais.log_evidence, evidence, atol=0.4, rtol=0)
    hmc = infer.hmc(own, x, generator=noise(), chains=16, warmup=60, draws=60)
    spread = exact.covariance.diagonal(dim1=-1, dim2=-2).sqrt()
    assert ((hmc.mean - exact.mean).abs() < 0.35 * spread).all()


@pytest.mark.parametrize("part", ["posterior", "decoder_output", "decoder_jacobian", "log_joint"])
def test_what_a_model_computes_is_float32_under_autocast(part):
    own = model(OwnDecoder(2))
    x, z = images(own), torch.randn(ROWS, 2, generator=noise())
    with torch.autocast("cpu", torch.bfloat16):
        found = {
            "posterior": lambda: (own.posterior(x).mean, own.posterior(x).log_prob(z)),
            "decoder_output": lambda: (own.decoder_output(z),),
            "decoder_jacobian": lambda: own.decoder_jacobian(z),
            "log_joint": lambda: (own.log_joint(x, z[None]),),
        }[part]()
    assert {tensor.dtype for tensor in found} == {torch.float32}


def test_networks_in_bfloat16_give_densities_in_float32():
    own = VAE(OwnEncoder(2).bfloat16(), OwnDecoder(2).bfloat16(), 2)
    x = torch.zeros(ROWS, *EVENT, dtype=torch.bfloat16)
    assert own.posterior(x).mean.dtype == torch.float32


def test_jacobians_of_convolutions_are_those_of_reverse_mode():
    own = model(OwnDecoder(2)).double()
    z = torch.randn(ROWS, 2, generator=noise(), dtype=torch.float64)
    value, found = own.decoder_jacobian(z)
    rows = [torch.autograd.functional.jacobian(own.decoder, one[None]) for one in z]
    expected = torch.cat([row[:, ..., 0, :] for row in rows]).movedim(-1, 0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(value, own.decoder(z))


class Attending(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.first, self.layer, self.last = nn.Linear(3, 8), layer, nn.Linear(8, 6)

    def forward(self, z: Tensor) -> Tensor:
        sequence = self.layer(self.first(z).reshape(-1, 2, 4))
        sequence = sequence[0] if isinstance(sequence, tuple) else sequence
        return self.last(sequence.flatten(1)).reshape(*z.shape[:-1], 2, 3)


class Counting(nn.Module):
    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, sequence: Tensor) -> Tensor:
        self.calls += 1
        return sequence.sin()


@pytest.mark.parametrize(
    "layer",
    [
        nn.TransformerEncoderLayer(4, 2, 8, batch_first=True),
        nn.LSTM(4, 4, batch_first=True),
        Counting(),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_without_a_forward_mode_are_differentiated_in_reverse(layer: nn.Module):
    decoder = Attending(layer).eval().requires_grad_(False)
    z = torch.randn(ROWS, 3, generator=noise())
    with torch.no_grad():
        value, found = decoder_network(decoder).jacobian(z)
    rows = [torch.autograd.functional.jacobian(decoder, one[None])[0, :, :, 0] for one in z]
    torch.testing.assert_close(found, torch.stack(rows).movedim(-1, 0))
    torch.testing.assert_close(value, decoder(z))


def test_the_curvature_in_bfloat16_is_near_that_in_float32(bfloat16):
    own = model(OwnDecoder(2))
    x, z = images(own), torch.randn(ROWS, 2, generator=noise(1))
    target = Target.of(own, x, None)
    for rough, exact in zip(target.fast().curvature(z), target.curvature(z), strict=True):
        torch.testing.assert_close(rough, exact, atol=0.1 * exact.abs().max(), rtol=0)
