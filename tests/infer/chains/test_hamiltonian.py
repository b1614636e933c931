"""Hamiltonian trajectories: the leapfrog, and the state it moves."""

import torch

from elboroom.infer.chains import hamiltonian
from elboroom.infer.chains.hamiltonian import State
from elboroom.infer.chains.metric import DenseMetric
from elboroom.infer.target import Target
from tests.support.chain_cases import generator, images, small_vae
from tests.support.oracles import assert_rejected


def assert_hamiltonian():
    """Check that a trajectory run backwards ends where it began, and its energy error is O(ε²)."""
    target = Target.of(small_vae(seed=3, spread=3), *images(4, seed=4))
    z, momentum = torch.randn(2, 3, 4, 2, generator=generator(), dtype=torch.float64)
    root = DenseMetric.at(target, z, generator()).root
    start, steps = State.at(target, z), torch.tensor([1, 5, 9, 2])

    def energy_error(step, times):
        options = root, torch.full((4,), step, dtype=z.dtype), times * steps
        end, p = hamiltonian._leapfrog(target, start, momentum, *options)
        back, q = hamiltonian._leapfrog(target, end, -p, *options)
        torch.testing.assert_close(back.z, z, atol=1e-9, rtol=0)
        torch.testing.assert_close(-q, momentum, atol=1e-9, rtol=0)
        lost = start.log_joint - end.log_joint + 0.5 * (p.square() - momentum.square()).sum(-1)
        return lost.abs().max()

    # a tenth of the step over the same time: a hundredth of the error
    assert 0.005 < energy_error(0.002, 10) / energy_error(0.02, 1) < 0.02


def test_the_leapfrog_is_reversible_and_of_second_order(monkeypatch):
    leapfrog = hamiltonian._leapfrog

    def without_last_half_step(target, state, momentum, root, step_size, steps):
        end, momentum = leapfrog(target, state, momentum, root, step_size, steps)
        return end, momentum - step_size[:, None] / 2 * root.pulled(end.gradient)

    assert_hamiltonian()
    monkeypatch.setattr(hamiltonian, "_leapfrog", without_last_half_step)
    assert_rejected(assert_hamiltonian)


def test_value_and_gradient_are_those_of_the_target():
    target = Target.of(small_vae(seed=3, spread=3), *images(4, seed=4))
    z = torch.randn(1_500, 4, 2, generator=generator(), dtype=torch.float64)  # several chunks
    state = State.at(target, z)
    torch.testing.assert_close(state.log_joint, target.log_joint(z).detach())
    torch.testing.assert_close(state.gradient, target.gradient(z))
