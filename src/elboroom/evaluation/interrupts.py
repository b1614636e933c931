"""Ctrl-C in an evaluation from Python: what is finished is kept."""

from elboroom.evaluation.evaluation import Evaluation


class EvaluationInterrupted(KeyboardInterrupt):
    """Ctrl-C in an evaluation.

    Attributes:
        evaluation: the evaluation of the finished images; None if no batch was finished.

    Example:
        >>> import signal  # to press Ctrl-C after the first batch
        >>> from elboroom.evaluation import EvaluationInterrupted, evaluate
        >>> try:
        ...     evaluate(model, data, k=10, seed=0, on_images=lambda _: signal.raise_signal(2))
        ... except EvaluationInterrupted as interrupt:
        ...     print(interrupt.evaluation.notes[0])
        stopped early: 100 of 200 images, chosen at random
    """

    def __init__(self, evaluation: Evaluation | None) -> None:
        known = "nothing is known yet"
        if evaluation is not None:
            lines = evaluation.notes or ["it was finished"]
            known = (
                f"{lines[-1]}. interrupt.evaluation holds it, where `interrupt` is this error, in "
                "a notebook sys.last_value"
            )
        super().__init__(f"the evaluation was interrupted: {known}")
        self.evaluation = evaluation
