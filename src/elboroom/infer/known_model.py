"""The model that a posterior was inferred with, in the state that it had then."""

from dataclasses import dataclass, field

from elboroom.errors import UsageError
from elboroom.model.fingerprint import fingerprint
from elboroom.model.vae import VAE


@dataclass(frozen=True)
class KnownModel:
    """A model and the fingerprint of its weights.

    The model may be trained further, and is another one then.
    """

    model: VAE = field(repr=False)
    fingerprint: str

    @classmethod
    def of(cls, model: VAE) -> "KnownModel":
        """Take the fingerprint of a model."""
        return cls(model, fingerprint(model))

    def require_same(self, model: VAE) -> None:
        """Check that a model has these weights, be it this one, a copy, or one that was reloaded.

        Raises:
            UsageError: it has others.
        """
        if fingerprint(model) == self.fingerprint:
            return
        trained = "the weights of the model have changed since, as by training"
        raise UsageError(
            "this posterior is not of this model",
            why=trained if model is self.model else "it was inferred with other weights",
            fix="infer the posterior again, with the model as it is now",
        )

    def require_kept(self, source: "KnownModel", what: str, kind: type) -> None:
        """Check that a model has these weights, with which something was decoded and kept.

        Args:
            source: the model.
            what: what was kept, in the plural.
            kind: its class, which is called with a model.

        Raises:
            UsageError: it has others.
        """
        if source.fingerprint != self.fingerprint:
            raise UsageError(
                f"these {what} are not of this model",
                why="they were decoded by another model, or its weights have changed since",
                fix=f"keep the {what} of the model as it is now: {kind.__name__}(model)",
            )

    def require_unchanged(self) -> None:
        """Check that the model has not been trained further.

        Raises:
            UsageError: its weights have changed.
        """
        self.require_same(self.model)
