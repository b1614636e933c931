"""The story of a user with convolutional networks and a prior of their own, line by line."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Independent, StudentT

from elboroom import (
    VAE,
    Config,
    DataConfig,
    ObjectiveConfig,
    Run,
    TrainConfig,
    evaluate,
    figures,
    infer,
    load_data,
    resolve,
    train,
    train_run,
)
from elboroom.cli.figures import draw
from elboroom.cli.terminal import plain_console
from elboroom.config import FiguresConfig
from elboroom.device import precision
from elboroom.errors import UsageError
from elboroom.evaluation import certify
from elboroom.model.posteriors import Density
from elboroom.model.priors import Prior
from elboroom.model.priors.distribution import DistributionDensity
from tests.support.own_networks import FlatDecoder, OwnDecoder, OwnEncoder


class LearnedStudent(Prior):
    """A Student-t with a learned scale: what docs/extending.md says of a prior, and no more."""

    def __init__(self, latents: int) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(latents))

    def forward(self, batch: int) -> Density:
        t = StudentT(5.0, torch.zeros_like(self.log_scale), self.log_scale.exp())
        return DistributionDensity(Independent(t, 1), torch.zeros_like(self.log_scale), batch)

    def curvature(self, z: Tensor) -> tuple[Tensor, Tensor]:
        # log p(z_d) = −3 log(1 + z²/5 s²) + const
        spread = 5 * (2 * self.log_scale).exp() + z.square()
        return -6 * z / spread, torch.diag_embed(6 / spread)


PRIORS = {
    "standard": lambda: None,
    "distribution": lambda: StudentT(torch.tensor(5.0), torch.zeros(2), torch.ones(2)),
    "learned": lambda: LearnedStudent(2),
}


@pytest.mark.parametrize(
    "prior",
    [pytest.param(name, marks=pytest.mark.full) for name in PRIORS if name != "learned"]
    + ["learned"],
)
def test_the_story_from_its_first_line_to_its_last(prior, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(precision, "_multiplies_bfloat16", lambda device: True)
    np.save("b.npy", (np.random.default_rng(0).random((200, 8, 8)) < 0.4).astype("u1"))
    data = load_data(DataConfig(source="b.npy"))

    # The decoder as everybody writes it trained at −0.55 nats; now it is refused in words.
    with pytest.raises(UsageError, match=r"\.unflatten\(0, z\.shape\[:-1\]\)"):
        VAE(OwnEncoder(2), FlatDecoder(2), 2)

    # Mended, everything works, where bfloat16 is multiplied too.
    torch.manual_seed(0)
    model = VAE(OwnEncoder(2), OwnDecoder(2), 2, prior=PRIORS[prior]())
    brief = TrainConfig(epochs=2, threads=1, device="cpu", precision="bf16")
    assert -50 < train(model, data, brief).history[-1].elbo < -35
    dreg = ObjectiveConfig("iwae", k=3, gradient="dreg")
    train(model, data, brief, objective=dreg)
    elbo = evaluate(model, data, k=20, seed=0).estimates["elbo"].mean
    assert -50 < elbo < -35
    generator, x = torch.Generator().manual_seed(0), data.test.x[:3]
    evidence = infer.sir(model, x, generator=generator).log_evidence.float()
    if prior == "standard":  # the tails of a Student-t leave the grid
        exact = infer.grid(model, x, generator=generator).log_evidence.float()
        assert (evidence - exact).abs().max() < 0.3
    assert (infer.encoder(model, x, generator=generator).elbo < evidence + 0.1).all()
    for fit in (infer.svi, infer.laplace):
        assert (fit(model, x, generator=generator).elbo - evidence).abs().max() < 0.5
    annealed = infer.ais(model, x, generator=generator, distributions=30, chains=4)
    assert (annealed.log_evidence - evidence).abs().max() < 0.5
    hmc = infer.hmc(model, x, generator=generator, warmup=50, draws=50)
    assert hmc.mean.shape == (3, 2)
    bounds = certify(model, rows=4, generator=generator, distributions=30, chains=4)
    assert bounds.estimates

    # A run saves it, opens it, goes on, and draws it.
    def make(event_shape: tuple[int, ...], latents: int) -> VAE:
        return VAE(OwnEncoder(latents), OwnDecoder(latents), latents, prior=PRIORS[prior]())

    config = resolve(Config(data=DataConfig(source="b.npy"), train=brief), data, make)
    run = Run.create("own", config, data, network=make)
    trained, _ = train_run(run)
    run.extend(3)
    trained, state = train_run(Run("own", network=make))
    assert [m.epoch for m in state.history] == [1, 2, 3]
    again = Run("own", network=make)
    model = again.load_model()
    for one, other in zip(model.parameters(), trained.parameters(), strict=True):
        assert torch.equal(one, other)
    assert figures.samples(*(t.detach() for t in model.generate(4, generator=generator)))
    wanted = FiguresConfig(only=("samples", "latent", "curves"))
    draw(again, model, state.step, wanted, wanted.only, plain_console())
    assert {p.stem for p in (tmp_path / "own" / "figures").iterdir()} == set(wanted.only)
