import pytest
import torch

from elboroom.infer.fitting.adam_ascent import LowRankAscent, MixtureAscent
from elboroom.infer.target import Target
from elboroom.model.posteriors import Gaussian, GaussianMixture
from tests.support.fit_cases import TwoModes, generator, pictures, small_vae
from tests.support.oracles import LinearGaussian, assert_mean, assert_rejected, random_masks

ROWS = 5


def problem(latents=3):
    exact = LinearGaussian(pixels=6, latents=latents, seed=latents)
    x, mask = exact.data(ROWS, seed=1), random_masks(ROWS, 6, seed=2)
    mean, precision = exact.posterior(x, mask)
    q = Gaussian(mean, torch.linalg.cholesky(torch.linalg.inv(precision)))
    return Target.of(exact.model, x, mask), q


def gradients(method, target, parameters, nodes):
    """Of the ELBO, by the free parameters."""
    free = [p.detach().clone().requires_grad_() for p in parameters[: method.free]]
    log_weights = method.log_weights(target, (*free, *parameters[method.free :]), nodes)
    return torch.autograd.grad(nodes.mean(log_weights).sum(), free)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_low_rank_begins_with_the_variances_of_the_gaussian(rank):
    _, q = problem()
    method = LowRankAscent(3, rank, 16, q.mean, generator())
    start = method.q(method.start(q))
    torch.testing.assert_close(start.mean, q.mean)
    if rank == 3:
        torch.testing.assert_close(start.covariance, q.covariance, atol=1e-3, rtol=1e-3)
    total = start.covariance / (q.covariance.diagonal(dim1=1, dim2=2).sqrt()[..., None] ** 2)
    assert (total.diagonal(dim1=1, dim2=2).sum(-1) - 3).abs().max() < 1e-3


def test_low_rank_begins_at_a_gaussian_that_has_that_rank():
    g = generator(4)
    factor = torch.randn(4, 6, 2, generator=g, dtype=torch.float64)
    factor = factor / factor.norm(dim=-1, keepdim=True)  # all axes alike: an exact case of PPCA
    covariance = factor @ factor.mT + 0.3 * torch.eye(6).double()
    q = Gaussian(torch.zeros(4, 6).double(), torch.linalg.cholesky(covariance))
    method = LowRankAscent(6, 2, 16, q.mean, g)
    found = method.q(method.start(q)).covariance
    torch.testing.assert_close(found, covariance, atol=1e-3, rtol=0)


def test_rounding_does_not_choose_where_low_rank_begins():
    _, q = problem()
    q.scale[0] = torch.eye(3)  # of which any axes are principal
    for rank in (1, 2, 3):
        method = LowRankAscent(3, rank, 16, q.mean, generator())
        expected = method.start(q)
        for seed in range(5):
            noise = torch.randn(q.scale.shape, generator=generator(seed), dtype=torch.float64)
            found = method.start(Gaussian(q.mean, q.scale + 1e-14 * noise))
            torch.testing.assert_close(found, expected, atol=1e-8, rtol=0)


def test_low_rank_begins_at_a_finite_point_where_rounding_makes_a_gaussian_singular():
    flat = torch.tensor([[1.0, 1.0], [1.0, 1.0 + 1e-7]]).expand(3, 2, 2)
    q = Gaussian(torch.zeros(3, 2), flat)
    for rank in (1, 2):
        method = LowRankAscent(2, rank, 16, q.mean, generator())
        assert all(p.isfinite().all() for p in method.start(q))


@pytest.mark.parametrize("rank", [2, 3])
def test_low_rank_log_weights_are_those_of_its_draws(rank):
    target, q = problem()
    method = LowRankAscent(3, rank, 16, q.mean, generator())
    parameters = method.start(q)
    member, nodes = method.q(parameters), method.check
    eps, eta = nodes.eps.split([3, rank], -1)
    z = member.mean + member.log_std.exp() * eps[:, None]
    z = z + (member.factor @ eta[:, None, :, None])[..., 0]
    found = method.log_weights(target, parameters, nodes)
    torch.testing.assert_close(found, target.log_joint(z) - member.log_prob(z))


def two_modes():
    case = TwoModes(2, shift=0.15)
    x, mask = case.data(ROWS, seed=3)
    precision = torch.stack([half.posterior(x, mask)[1] for half in case.halves])
    covariance = torch.linalg.inv(precision)
    mirror = torch.tensor([-1.0, 1.0]).double()
    covariance[1] = mirror[:, None] * covariance[1] * mirror
    modes = Gaussian(case.modes(x, mask), torch.linalg.cholesky(covariance))
    return case, x, mask, GaussianMixture(case.log_masses(x, mask), modes)


def test_at_the_posterior_neither_family_has_noise_nor_slope():
    target, q = problem()
    low_rank = LowRankAscent(3, 3, 16, q.mean, generator())
    # Sizes of the ridge that a factor starts with, next to the exact posterior.
    for gradient in gradients(low_rank, target, low_rank.start(q), low_rank.check):
        assert gradient.abs().max() < 2e-3
    case, x, mask, exact = two_modes()
    mixture = MixtureAscent(2, 16, x, generator())
    parameters, target = mixture.start(exact), Target.of(case.model, x, mask)
    log_weights = mixture.log_weights(target, parameters, mixture.check)
    expected = case.log_evidence(x, mask).expand_as(log_weights)
    torch.testing.assert_close(log_weights, expected, atol=1e-6, rtol=0)
    logits, shift, growth = gradients(mixture, target, parameters, mixture.check)
    assert max(shift.abs().max(), growth.abs().max()) < 1e-6
    # By the logits it is π_m (log w_m − Σ π log w): zero as well, where all log w are alike.
    assert logits.abs().max() < 1e-6


def rough_problem(k):
    """A model whose posteriors are not Gaussian, with ascents that are not at their optimum."""
    model, (x, mask) = small_vae(3, 2, scale=1.5), pictures(3, seed=5)
    g = generator(6)
    mean = 0.3 * torch.randn(2, 3, 2, generator=g, dtype=torch.float64)
    scale = 0.5 * torch.randn(2, 3, 2, 2, generator=g, dtype=torch.float64) + torch.eye(2).double()
    logits = torch.randn(2, 3, generator=g, dtype=torch.float64)
    mixture, low_rank = MixtureAscent(2, k, x, g), LowRankAscent(2, 1, k, x, g)
    starts = {
        mixture: mixture.start(GaussianMixture(logits, Gaussian(mean, scale))),
        low_rank: low_rank.start(Gaussian(mean[0], scale[0])),
    }
    return Target.of(model, x, mask), starts


def moved(parameters, index, entry, step):
    """With one entry of one parameter of each row raised by `step`."""
    found = [p.contiguous().clone() for p in parameters]
    found[index].view(len(found[index]), -1)[:, entry] += step
    return tuple(found)


def test_the_gradients_are_those_of_the_elbo():
    target, starts = rough_problem(k=10_000)
    for method, start in starts.items():
        nodes = method._nodes()
        for index, gradient in enumerate(gradients(method, target, start, nodes)):
            for entry, found in enumerate(gradient.flatten(1).T):
                up, down = (
                    method.log_weights(target, moved(start, index, entry, step), nodes)
                    for step in (1e-3, -1e-3)
                )
                slopes = (up - down).detach() / 2e-3
                # The path derivative leaves out a term without mean, whose noise is like theirs.
                noise = 2 * nodes.standard_error(slopes) + 0.01

                def check(found, slopes=slopes, nodes=nodes, noise=noise):
                    assert ((nodes.mean(slopes) - found).abs() < 4.5 * noise).all()

                check(found)
    assert_rejected(lambda: check(found + 0.3))


def test_the_mean_of_the_mixtures_weights_is_its_elbo():
    model, (x, mask) = small_vae(3, 2), pictures(3, seed=8)
    target, g = Target.of(model, x, mask), generator(9)
    of = Gaussian(
        torch.randn(2, 3, 2, generator=g).double(),
        0.5 * torch.randn(2, 3, 2, 2, generator=g).double(),
    )
    q = GaussianMixture(torch.randn(2, 3, generator=g).double(), of)
    mixture = MixtureAscent(2, 40_000, x, generator(10))
    nodes = mixture._nodes()
    stratified = mixture.log_weights(target, mixture.start(q), nodes)
    z, log_q = q.draw(40_000, g)
    plain = target.log_joint(z) - log_q
    error = (nodes.standard_error(stratified).square() + plain.var(0) / 40_000).sqrt()

    def check(elbo):
        assert ((elbo - plain.mean(0)).abs() < 4.5 * error).all()

    check(nodes.mean(stratified))
    assert_rejected(lambda: check(nodes.mean(stratified) + 0.2))


def test_a_mixture_starts_at_its_q_except_for_components_without_mass():
    *_, q = two_modes()
    mixture = MixtureAscent(2, 16, q.mean, generator())
    same = mixture.q(mixture.start(q))
    torch.testing.assert_close(same.log_mass, q.log_mass)
    torch.testing.assert_close(same.components.mean, q.components.mean)
    torch.testing.assert_close(same.components.scale, q.components.scale)
    logits = q.logits.clone()
    logits[1, 2], logits[0, 4] = -torch.inf, -torch.inf
    found = mixture.q(mixture.start(GaussianMixture(logits, q.components)))
    masses = found.log_mass.exp()
    assert masses.isfinite().all()
    torch.testing.assert_close(masses[:, [0, 1, 3]], q.log_mass[:, [0, 1, 3]].exp())
    for row, empty, heavy in ((2, 1, 0), (4, 0, 1)):
        assert 0.05 < masses[empty, row] < 0.2
        torch.testing.assert_close(found.components.mean[heavy, row], q.components.mean[heavy, row])
        torch.testing.assert_close(
            found.components.scale[empty, row], q.components.scale[heavy, row]
        )
        offset = found.components.mean[empty, row] - q.components.mean[heavy, row]
        units = torch.linalg.solve(q.components.scale[heavy, row], offset)
        torch.testing.assert_close(units.norm(), torch.ones(()).double())  # one standard deviation


@pytest.mark.parametrize("family", ["low-rank", "mixture"])
def test_a_round_ascends_from_afar(family):
    target, q = problem()
    off = Gaussian(q.mean + 1.0, 2 * q.scale)
    if family == "low-rank":
        method = LowRankAscent(3, 2, 16, q.mean, generator())
        start = method.start(off)
    else:
        method = MixtureAscent(3, 16, q.mean, generator())
        logits = torch.zeros(2, ROWS).double()
        start = method.start(
            GaussianMixture(
                logits, Gaussian(off.mean.expand(2, -1, -1), off.scale.expand(2, -1, -1, -1))
            )
        )
    moved = method.ascend_round(target, start, torch.full((ROWS,), 0.05).double())
    for old, new in zip(start[method.free :], moved[method.free :], strict=True):
        assert torch.equal(old, new)
    gain = method.log_weights(target, moved, method.check)
    gain = gain - method.log_weights(target, start, method.check)
    assert (method.check.mean(gain) > 4.5 * method.check.standard_error(gain)).all()
    assert not any(p.requires_grad for p in moved)
    frozen = method.ascend_round(target, start, torch.zeros(ROWS).double())
    assert all(torch.equal(a, b) for a, b in zip(start, frozen, strict=True))
    assert_mean(method.q(start).sample(20_000, generator()), method.q(start).mean)
