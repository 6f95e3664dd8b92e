"""How the model is trained and watched."""

import attrs
from attrs import validators

from pipelines import files, settings
from vae_prod.config import model as model_lib
from vae_prod.config import precisions, schedules


@attrs.frozen
class TrainConfig:
    """How the model is trained and watched."""

    epochs: int = settings.setting(
        24,
        "Passes over the training split.",
        settings.positive,
        may_change=True,
    )
    learning_rate: float = settings.setting(
        5e-4, "Adam's learning rate.", settings.above_zero
    )
    learning_rate_schedule: str = settings.choice(
        "constant",
        "How the learning rate goes on after its warm-up.",
        schedules.LEARNING_RATE_SCHEDULES,
    )
    learning_rate_warmup_steps: int = settings.setting(
        0,
        "Updates over which the learning rate first rises from 0.",
        settings.not_negative,
    )
    learning_rate_decay_steps: int = settings.setting(
        0,
        "Updates until the learning rate reaches its floor, with those of the warm-up; "
        "0: those of all epochs, and a resumed run can't have more.",
        settings.not_negative,
    )
    learning_rate_floor: float = settings.setting(
        0.0,
        "Fraction of the learning rate that a schedule such as cosine ends at.",
        settings.fraction,
    )
    gradient_clip_norm: float = settings.setting(
        0.0,
        "Limit of the norm of all gradients together, for one update; 0: none.",
        settings.not_negative,
    )
    gradient_accumulation: int = settings.setting(
        1, "Batches whose gradients are averaged for one update.", settings.positive
    )
    ema: float = settings.setting(
        0.0,
        "Momentum of an average of the weights, which validation, saved weights and "
        "export use; 0: none.",
        settings.not_negative,
        validators.lt(1.0),
    )
    mixed_precision: str = settings.choice(
        "float32",
        "Precision of the network's maps.",
        {name: precision.text for name, precision in precisions.PRECISIONS.items()}
        | {
            precisions.AUTO: "bfloat16 where the device has units for it, else "
            "float32; a resumed run keeps what it began with"
        },
    )
    jit_compile: str = settings.setting(
        "auto",
        "Compile the train step with XLA; auto: on accelerators only.",
        validators.in_(("auto", "true", "false")),
    )
    steps_per_execution: int = settings.setting(
        0,
        "Steps that TensorFlow takes in one call; logs, checkpoints and stop requests "
        "wait for its end. 0: 1 or, compiled for a GPU, up to 32.",
        settings.not_negative,
        may_change=True,
    )
    max_bad_steps: int = settings.setting(
        10,
        "Steps in a row with a loss or gradient that isn't finite that end the run; "
        "fewer are skipped; 0: all are.",
        settings.not_negative,
        may_change=True,
    )
    compile_cache: str = settings.setting(
        "auto",
        "Folder in which XLA keeps what it compiled, so that a later run, or a resumed "
        "one, begins sooner; auto: with a GPU one in the user's cache; none: none.",
        may_change=True,
    )
    strategy: str = settings.setting(
        "none",
        "none: one device; mirrored: all GPUs of this machine, in one process; "
        "multi_worker: several processes, of one or several machines, see --cluster.",
        validators.in_(("none", "mirrored", "multi_worker")),
    )
    microbatches: int = settings.setting(
        1,
        "Parts of equal size that each batch is computed in, a power of two. Gradients "
        "are summed in a fixed order, batch normalisation is by parts and noise by "
        "their numbers: as many parts give the same numbers on any number of workers, "
        "each of which takes as many of them.",
        settings.positive,
    )
    step_timeout: float = settings.setting(
        600.0,
        "With strategy=multi_worker, seconds that a step waits for the others.",
        settings.above_zero,
        may_change=True,
    )
    cpu_only: bool = settings.setting(
        False,
        "Leave the GPUs alone.",
        may_change=True,
    )
    require_gpu: bool = settings.setting(
        False,
        "Fail where TensorFlow can use no GPU, instead of training on the CPU.",
        may_change=True,
    )
    cpu_threads: int = settings.setting(
        0,
        "Threads of an operation and between operations; 0: TensorFlow's choice.",
        settings.not_negative,
        may_change=True,
    )
    gpu_memory_limit_mb: int = settings.setting(
        0,
        "Memory taken of each GPU; 0: as much as is needed.",
        settings.not_negative,
        may_change=True,
    )
    deterministic: bool = settings.setting(
        False,
        "Deterministic GPU kernels, without jit: the same seed gives the same bits. "
        "On CPU it does so in any case.",
    )
    checkpoint_every_steps: int = settings.setting(
        500,
        "Steps between checkpoints; 0: only at the end of each epoch.",
        settings.not_negative,
        may_change=True,
    )
    checkpoint_every_minutes: float = settings.setting(
        0.0,
        "Minutes between checkpoints, beside the steps; 0: never.",
        settings.not_negative,
        may_change=True,
    )
    keep_checkpoints: int = settings.setting(
        2,
        "Checkpoints kept.",
        settings.positive,
        may_change=True,
    )
    early_stopping: int = settings.setting(
        0,
        "Epochs without a better validation total_loss before stopping; 0: never.",
        settings.not_negative,
        may_change=True,
    )
    recompute_batch_norm: int = settings.setting(
        0,
        "Training batches over which batch-norm statistics are recomputed for a second "
        "validation (val_recomputed_*); 0: no second validation.",
        settings.not_negative,
        may_change=True,
    )
    log_every_steps: int = settings.setting(
        50,
        "Steps between TensorBoard scalars.",
        settings.positive,
        may_change=True,
    )
    images_every_epochs: int = settings.setting(
        1,
        "Epochs between TensorBoard pictures and histograms.",
        settings.positive,
        may_change=True,
    )
    profile_steps: tuple[int, ...] = settings.sizes(
        (),
        "First and last step of a TensorBoard profile (needs the extra [profile]).",
        may_change=True,
    )
    seed: int = settings.seed()

    def __attrs_post_init__(self) -> None:
        if len(self.profile_steps) not in (0, 2):
            raise ValueError(
                "'profile_steps' must hold a first and a last step, received "
                f"{self.profile_steps}."
            )
        if self.profile_steps and self.profile_steps[0] > self.profile_steps[1]:
            raise ValueError(
                "'profile_steps' must hold a first step that isn't after the last, "
                f"received {self.profile_steps}."
            )


def may_change(config: attrs.AttrsInstance, name: str) -> bool:
    """Say whether a resumed run may have another value of a setting.

    A learning rate that comes down over all epochs is another one with other epochs.
    Several replicas of one process sum in no fixed order, and normalise each its own.
    """
    if isinstance(config, TrainConfig) and name == "strategy":
        return config.strategy != "mirrored"
    if isinstance(config, TrainConfig) and name == "epochs":
        schedule = schedules.LEARNING_RATE_SCHEDULES[config.learning_rate_schedule]
        return not schedule.decays or config.learning_rate_decay_steps > 0
    field = attrs.fields_dict(type(config))[name]
    return bool(field.metadata.get("may_change"))


def check_steps(train: TrainConfig, steps: int) -> None:
    """Refuse settings that a run is too short for to do anything.

    Args:
        train: How it is trained.
        steps: Steps of all its epochs.

    Raises:
        UserError: It would end before its first update, or before its profile begins.
    """
    first_profiled = train.profile_steps[0] if train.profile_steps else 0
    for name, least in (
        ("gradient_accumulation", train.gradient_accumulation),
        ("profile_steps", first_profiled),
    ):
        if least > steps:
            raise files.UserError(
                f"Expected --{name} within the {steps:,} steps of all epochs, received "
                f"{least:,}: nothing would come of it. Lower it, or train for more "
                "--epochs."
            )


def unfinished(model: model_lib.ModelConfig, train: TrainConfig, steps: int) -> str:
    """Say which warm-up a run is too short for; empty: none.

    Args:
        model: The model.
        train: How it is trained.
        steps: Steps of all its epochs.
    """
    ramps = {}
    if model.has_divergence and model.fact_schedule != "constant":
        ramps["fact_warmup_steps"] = ("fact", steps, model.fact_warmup_steps)
    updates = steps // train.gradient_accumulation
    warmup = train.learning_rate_warmup_steps
    ramps["learning_rate_warmup_steps"] = ("the learning rate", updates, warmup)
    parts = [
        f"{what} reaches {done / needed:.0%} (--{name}={needed})"
        for name, (what, done, needed) in ramps.items()
        if needed > done
    ]
    return "; ".join(parts)


def check_precision(
    model: model_lib.ModelConfig, train: TrainConfig, jit: bool, cpu: bool
) -> None:
    """Refuse the one combination that TensorFlow can't compile.

    The gradient of bilinear resizing in low precision has no XLA kernel on CPU.

    Raises:
        UserError: For bilinear upsampling x low precision x jit on CPU.
    """
    bilinear = model.decoder == "upsampling" and model.upsampling == "bilinear"
    if bilinear and train.mixed_precision != "float32" and jit and cpu:
        raise files.UserError(
            "Bilinear upsampling in low precision can't be compiled on CPU: received "
            f"--upsampling=bilinear and --mixed_precision={train.mixed_precision} with "
            "jit. Use --upsampling=nearest, --mixed_precision=float32 or "
            "--jit_compile=false."
        )
