"""Ctrl-C in training from Python: the current step ends first, so that nothing is lost."""

from elboroom.training.state import TrainState


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C in training, after the step that it came in.

    Attributes:
        state: the state after that step. Calling `train` again with it resumes bit for bit.
    """

    def __init__(self, state: TrainState) -> None:
        super().__init__(
            f"training was interrupted after step {state.step:,}. The model is that of "
            "that step; train(…, state=interrupt.state) resumes, where `interrupt` is this error, "
            "in a notebook sys.last_value; and train_run(run) resumes a run"
        )
        self.state = state
