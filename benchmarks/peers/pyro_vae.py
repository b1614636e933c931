"""A VAE trained by Pyro, as its VAE example does, without the validation of arguments.

python pyro_vae.py PROBLEM.npz RESULT.npz [jit]

With `jit` the ELBO is a `JitTrace_ELBO`. Several particles are a `RenyiELBO` of order 0, all of
them at once.
"""

import sys

import pyro
import pyro.distributions as dist
import torch
from problem import RATE, Laps, Problem, write_result
from pyro.infer import SVI, JitTrace_ELBO, RenyiELBO, Trace_ELBO
from pyro.infer.elbo import ELBO
from pyro.optim import Adam
from torch import Tensor
from torch_networks import layers_of, network


def main(path: str, result: str, compiler: str = "") -> None:
    """Train, and write what came of it."""
    problem = Problem.read(path)
    pyro.enable_validation(False)
    pyro.set_rng_seed(problem.seed)
    x = torch.from_numpy(problem.x).float()
    encoder = network(problem.encoder, problem.activation)
    decoder = network(problem.decoder, problem.activation)
    latents = problem.latents

    def model(x: Tensor) -> None:
        pyro.module("decoder", decoder)
        with pyro.plate("images", x.shape[0]):
            zero = x.new_zeros((x.shape[0], latents))
            z = pyro.sample("z", dist.Normal(zero, zero + 1).to_event(1))
            pyro.sample("x", dist.Bernoulli(logits=decoder(z)).to_event(1), obs=x)

    def guide(x: Tensor) -> None:
        pyro.module("encoder", encoder)
        with pyro.plate("images", x.shape[0]):
            mean, log_std = encoder(x).chunk(2, -1)
            pyro.sample("z", dist.Normal(mean, log_std.exp()).to_event(1))

    svi = SVI(model, guide, Adam({"lr": RATE}), _loss(problem.particles, compiler))
    laps = Laps()
    for _ in range(problem.epochs):
        laps.begin()
        for index in torch.randperm(len(x)).split(problem.batch):
            svi.step(x[index])
        laps.end()
    write_result(result, laps, layers_of(encoder), layers_of(decoder))


def _loss(particles: int, compiler: str) -> ELBO:
    if particles > 1:
        return RenyiELBO(0, particles, max_plate_nesting=1, vectorize_particles=True)
    if compiler == "jit":
        return JitTrace_ELBO(ignore_jit_warnings=True)
    return Trace_ELBO()


if __name__ == "__main__":
    main(*sys.argv[1:])
