"""How fact and the learning rate change during training, by name.

Tables without TensorFlow. `model.kl` and `optim.schedules` compute them by the same
names.
"""

import attrs

FACT_SCHEDULES = {
    "constant": "from the first step",
    "linear": "from 0 over fact_warmup_steps",
    "cyclical": "that ramp, held as long again, repeated",
}


@attrs.frozen
class LearningRateSchedule:
    """What is known of a schedule before anything is computed.

    Attributes:
        text: How the rate goes on after its warm-up, for `--help`.
        decays: Whether it comes down over `learning_rate_decay_steps`, so that without
            that number it is another one for other `epochs`.
    """

    text: str
    decays: bool


LEARNING_RATE_SCHEDULES = {
    "constant": LearningRateSchedule("as it is", decays=False),
    "cosine": LearningRateSchedule(
        "down to learning_rate_floor at the end of training", decays=True
    ),
}
