"""The model as its card describes it."""

from collections import Counter

from elboroom.config import ModelConfig
from elboroom.model.vae import VAE


def dimensions(sizes: tuple[int, ...]) -> str:
    """Return a shape in words."""
    return " × ".join(map(str, sizes))


def likelihood(config: ModelConfig) -> str:
    """Return the name of the likelihood; without data "auto" is bernoulli."""
    return "bernoulli" if config.likelihood == "auto" else config.likelihood


def model_rows(config: ModelConfig, model: VAE) -> list[tuple[str, str]]:
    """Describe a model."""
    weights, noise = sum(p.numel() for p in model.parameters()), config.noise
    levels = [dimensions(level) for level in model.level_shapes]
    kinds = sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()})
    known = {
        "networks": _networks(config),
        "latents": f"{model.latents:,}" + f", in levels {', '.join(levels)}" * (len(levels) > 1),
        "prior p(z)": _prior(config),
        "q(z∣x)": config.posterior,
        "p(x∣z)": f"{likelihood(config)}{_column_kinds(config)}",
        "noise": "" if noise is None else f"fixed at {noise:g}",
        "weights": f"{weights:,} ({', '.join(kinds)})",
        "partial encoder": "" if model.partial_encoder is None else "with these files",
    }
    return [(name, text) for name, text in known.items() if text]


def _networks(config: ModelConfig) -> str:
    """Describe the networks; those of code of the user's by that alone."""
    if config.has_own_network:
        return "of its authors' code"
    maps = config.network in ("conv", "ladder")
    widths = {"channels": config.channels, "hidden layers": config.hidden}
    name = "channels" if maps else "hidden layers"
    found = widths[name]
    listed = found if isinstance(found, str) else ", ".join(map(str, found)) or "none"
    normalised = "" if config.normalisation == "none" else f", {config.normalisation} normalisation"
    return f"{config.network}, {name} {listed}, {config.activation}{normalised}"


def _prior(config: ModelConfig) -> str:
    many = f" of {config.components:,} components" * (config.prior in ("mixture", "vamp"))
    return f"{config.prior}{many}"


def _column_kinds(config: ModelConfig) -> str:
    """Count the columns of each likelihood, where there are any."""
    counts = Counter(name.partition(":")[0] for name in config.columns)
    listed = ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items()))
    return f": {listed}" if listed else ""
