"""Leaving seen values out: the weights that turn draws given all into draws given the others."""

from torch import Tensor


def left_out(log_weights: Tensor, log_p: Tensor) -> Tensor:
    """Return normalised log-weights of draws of z given the seen values without some.

    Gelfand, Dey & Chang, *Model determination using predictive distributions* (1992).

    Args:
        log_weights: log-weights of S draws of p(z | x_seen), which broadcast to `log_p`.
        log_p: (S, …), log p(x_i | z) in nats of what is left out.
    """
    # p(z | x_others) ∝ p(z | x_seen) / p(x_i | z)
    return (log_weights - log_p).log_softmax(0)


def surprise(log_weights: Tensor, log_p: Tensor) -> Tensor:
    """Compute −log p(x_i | x_others) in nats, (…).

    Args:
        log_weights: (S, …), normalised log-weights of S draws of p(z | x_others).
        log_p: (S, …), log p(x_i | z) in nats.
    """
    return -(log_weights + log_p).logsumexp(0)
