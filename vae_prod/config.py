"""Settings of the model and of its training.

Each field carries its default, its allowed values and its help text once; the
programs generate their flags from the fields. Nothing here imports TensorFlow, so
``--help`` stays instant.
"""

import attrs
from attrs import validators

from vae_prod import errors

ACTIVATIONS = ("leaky_relu", "relu", "elu", "selu", "gelu", "silu", "tanh")
RECONSTRUCTIONS = ("bce", "mse", "gaussian_sigma", "continuous_bernoulli")
PRECISIONS = ("float32", "bfloat16", "float16")

_positive = validators.ge(1)
_not_negative = validators.ge(0)
_all_positive = validators.deep_iterable(validators.ge(1))


def _setting(default, text, *rules, may_change=False, **kwargs):
    """Make a field that holds its default, its rules and its help.

    `may_change` says that a resumed run may have another value: the mathematics
    don't depend on it.
    """
    validator = None if not rules else rules[0] if len(rules) == 1 else [*rules]
    metadata = {"help": text, "may_change": may_change}
    return attrs.field(
        default=default, validator=validator, metadata=metadata, **kwargs
    )


def _sizes(default, text, may_change=False):
    return _setting(
        default, text, _all_positive, may_change=may_change, converter=tuple
    )


@attrs.frozen
class ModelConfig:
    """What the model computes: its networks and its objective.

    Attributes:
        image_shape: (height, width, channels); a fact of the data, not a flag.
    """

    image_shape: tuple[int, int, int] = attrs.field(
        default=(96, 96, 3), converter=tuple
    )
    mode: str = _setting(
        "vae",
        "vae, or ae for a plain autoencoder (no sampling, no KL loss).",
        validators.in_(("vae", "ae")),
    )
    z_dim: int = _setting(256, "Dimensions of the latent space.", _positive)
    filters: tuple[int, ...] = _sizes(
        (32, 64, 128, 256), "Filters of the encoder's convolutions, one per level."
    )
    kernel_sizes: tuple[int, ...] = _sizes(
        (3,), "Kernel sizes of the encoder's levels; one number serves all levels."
    )
    strides: tuple[int, ...] = _sizes(
        (2,), "Strides of the encoder's levels; one number serves all levels."
    )
    blocks: str = _setting(
        "plain",
        "One convolution a level, or a residual block.",
        validators.in_(("plain", "residual")),
    )
    encoder_dense: int = _setting(
        0, "Units of a dense layer before the latent heads; 0: none.", _not_negative
    )
    decoder: str = _setting(
        "conv2d_transpose",
        "How the decoder enlarges maps.",
        validators.in_(("conv2d_transpose", "upsampling")),
    )
    upsampling: str = _setting(
        "nearest",
        "Interpolation of the upsampling decoder.",
        validators.in_(("nearest", "bilinear")),
    )
    decoder_filters: tuple[int, ...] = _sizes(
        (),
        "Filters of the decoder's levels, before the image: one per level with "
        "decoder_output=extra_conv, one fewer with last. Default: the encoder's, "
        "mirrored.",
    )
    decoder_output: str = _setting(
        "last",
        "last: the last level gives the image; extra_conv: a convolution of stride 1 "
        "after it does.",
        validators.in_(("last", "extra_conv")),
    )
    activation: str = _setting(
        "leaky_relu",
        "Activation after each convolution (leaky_relu has slope 0.3).",
        validators.in_(ACTIVATIONS),
    )
    batch_norm: bool = _setting(
        True, "Batch normalisation between convolution and activation."
    )
    group_norm: int = _setting(
        0,
        "Groups of group normalisation, which then takes the place of batch "
        "normalisation (for batches of a few images, and for float16; try 8); 0: none.",
        _not_negative,
    )
    dropout: float = _setting(
        0.0,
        "Fraction dropped after each activation.",
        _not_negative,
        validators.lt(1.0),
    )
    reconstruction: str = _setting(
        "bce",
        "Reconstruction likelihood. bce: binary cross-entropy; mse: squared error; "
        "gaussian_sigma: Gaussian whose sigma is optimal for the batch; "
        "continuous_bernoulli: bce with its normalising constant.",
        validators.in_(RECONSTRUCTIONS),
    )
    reconstruction_weight: float = _setting(
        0.0,
        "0: the loss is averaged over channels and summed over pixels; w > 0: w times "
        "the mean over all elements.",
        _not_negative,
    )
    fact: float = _setting(
        5.0,
        "Weight of the KL loss (try 1.5 to 6 with bce, 0.01 to 0.05 with mse).",
        _not_negative,
    )
    fact_schedule: str = _setting(
        "constant",
        "How fact is reached: constant; linear: from 0 over fact_warmup_steps; "
        "cyclical: that ramp, held as long again, repeated.",
        validators.in_(("constant", "linear", "cyclical")),
    )
    fact_warmup_steps: int = _setting(
        1000, "Steps of one ramp of fact_schedule.", _positive
    )
    free_bits: float = _setting(
        0.0,
        "Nats per latent dimension (batch mean) that the KL loss doesn't charge for.",
        _not_negative,
    )
    epsilon_limit: float = _setting(
        5.0, "Limit of |epsilon| in the latent noise; 0: unlimited.", _not_negative
    )

    def __attrs_post_init__(self) -> None:
        levels = len(self.filters)
        if not levels:
            raise ValueError("'filters' must name at least one level, received none.")
        for name in ("kernel_sizes", "strides"):
            if len(getattr(self, name)) not in (1, levels):
                raise ValueError(
                    f"'{name}' must hold one number or {levels}, one per level of "
                    f"'filters', received {len(getattr(self, name))}."
                )
        wanted = levels - (self.decoder_output == "last")
        if self.decoder_filters and len(self.decoder_filters) != wanted:
            raise ValueError(
                f"'decoder_filters' must hold {wanted} numbers with {levels} levels "
                f"and decoder_output={self.decoder_output}, received "
                f"{len(self.decoder_filters)}."
            )
        self._check_groups()
        self._check_image()

    def _check_groups(self) -> None:
        if not self.group_norm:
            return
        for filters in (*self.filters, *self.level_decoder_filters):
            if filters % self.group_norm:
                raise ValueError(
                    f"'group_norm' must divide the filters of every level, received "
                    f"{self.group_norm} groups for {filters} filters."
                )

    def _check_image(self) -> None:
        total = 1
        for stride in self.level_strides:
            total *= stride
        height, width, channels = self.image_shape
        if height % total or width % total:
            raise ValueError(
                f"'strides' {self.level_strides} need an image size divisible by "
                f"{total}, received {height}x{width}. Convert to another size or "
                "change the strides."
            )
        if channels not in (1, 3):
            raise ValueError(f"Images must have 1 or 3 channels, received {channels}.")

    def _per_level(self, values: tuple[int, ...]) -> tuple[int, ...]:
        return values * len(self.filters) if len(values) == 1 else values

    @property
    def level_kernel_sizes(self) -> tuple[int, ...]:
        """Kernel size of each encoder level."""
        return self._per_level(self.kernel_sizes)

    @property
    def level_strides(self) -> tuple[int, ...]:
        """Stride of each encoder level."""
        return self._per_level(self.strides)

    @property
    def level_decoder_filters(self) -> tuple[int, ...]:
        """Filters of each decoder level, without the image's channels."""
        mirrored = self.filters[::-1]
        default = mirrored[1:] if self.decoder_output == "last" else mirrored
        return self.decoder_filters or default

    @property
    def uses_batch_norm(self) -> bool:
        """Whether the model normalises by statistics of the batch."""
        return self.batch_norm and not self.group_norm

    @property
    def is_vae(self) -> bool:
        """Whether there is a posterior to sample from (not a plain autoencoder)."""
        return self.mode == "vae"


@attrs.frozen
class TrainConfig:
    """How the model is trained and watched."""

    epochs: int = _setting(
        24,
        "Passes over the training split.",
        _positive,
        may_change=True,
    )
    learning_rate: float = _setting(5e-4, "Adam's learning rate.", validators.gt(0.0))
    learning_rate_schedule: str = _setting(
        "constant",
        "constant, or cosine: down to learning_rate_floor at the end of training.",
        validators.in_(("constant", "cosine")),
    )
    learning_rate_warmup_steps: int = _setting(
        0, "Updates over which the learning rate first rises from 0.", _not_negative
    )
    learning_rate_decay_steps: int = _setting(
        0,
        "Updates until cosine reaches its floor, with those of the warm-up; 0: those "
        "of all epochs, and a resumed run can't have more.",
        _not_negative,
    )
    learning_rate_floor: float = _setting(
        0.0,
        "Fraction of the learning rate that cosine ends at.",
        _not_negative,
        validators.le(1.0),
    )
    gradient_clip_norm: float = _setting(
        0.0,
        "Limit of the norm of all gradients together, for one update; 0: none.",
        _not_negative,
    )
    gradient_accumulation: int = _setting(
        1, "Batches whose gradients are averaged for one update.", _positive
    )
    ema: float = _setting(
        0.0,
        "Momentum of an average of the weights, which validation, saved weights and "
        "export use; 0: none.",
        _not_negative,
        validators.lt(1.0),
    )
    mixed_precision: str = _setting(
        "float32", "Precision of the network's maps.", validators.in_(PRECISIONS)
    )
    jit_compile: str = _setting(
        "auto",
        "Compile the train step with XLA; auto: on accelerators only.",
        validators.in_(("auto", "true", "false")),
    )
    steps_per_execution: int = _setting(
        1,
        "Steps that TensorFlow takes in one call; logs, checkpoints and stop requests "
        "wait for its end.",
        _positive,
        may_change=True,
    )
    max_bad_steps: int = _setting(
        10,
        "Steps in a row with a loss or gradient that isn't finite that end the run; "
        "fewer are skipped; 0: all are.",
        _not_negative,
        may_change=True,
    )
    compile_cache: str = _setting(
        "",
        "Folder in which XLA keeps what it compiled, so that a later run, or a resumed "
        "one, begins sooner; empty: none.",
        may_change=True,
    )
    strategy: str = _setting(
        "none",
        "none: one device; mirrored: all GPUs of this machine.",
        validators.in_(("none", "mirrored")),
    )
    cpu_only: bool = _setting(
        False,
        "Leave the GPUs alone.",
        may_change=True,
    )
    cpu_threads: int = _setting(
        0,
        "Threads of an operation and between operations; 0: TensorFlow's choice.",
        _not_negative,
        may_change=True,
    )
    gpu_memory_limit_mb: int = _setting(
        0,
        "Memory taken of each GPU; 0: as much as is needed.",
        _not_negative,
        may_change=True,
    )
    deterministic: bool = _setting(
        False,
        "Deterministic GPU kernels, without jit: the same seed gives the same bits. "
        "On CPU it does so in any case.",
    )
    checkpoint_every_steps: int = _setting(
        500,
        "Steps between checkpoints; 0: only at the end of each epoch.",
        _not_negative,
        may_change=True,
    )
    checkpoint_every_minutes: float = _setting(
        0.0,
        "Minutes between checkpoints, beside the steps; 0: never.",
        _not_negative,
        may_change=True,
    )
    keep_checkpoints: int = _setting(
        2,
        "Checkpoints kept.",
        _positive,
        may_change=True,
    )
    early_stopping: int = _setting(
        0,
        "Epochs without a better validation total_loss before stopping; 0: never.",
        _not_negative,
        may_change=True,
    )
    recompute_batch_norm: int = _setting(
        0,
        "Training batches over which batch-norm statistics are recomputed for a second "
        "validation (val_recomputed_*); 0: no second validation.",
        _not_negative,
        may_change=True,
    )
    log_every_steps: int = _setting(
        50,
        "Steps between TensorBoard scalars.",
        _positive,
        may_change=True,
    )
    images_every_epochs: int = _setting(
        1,
        "Epochs between TensorBoard pictures and histograms.",
        _positive,
        may_change=True,
    )
    profile_steps: tuple[int, ...] = _sizes(
        (),
        "First and last step of a TensorBoard profile (needs the extra [profile]).",
        may_change=True,
    )
    seed: int = _setting(1, "Seed of everything random.", _not_negative)

    def __attrs_post_init__(self) -> None:
        if len(self.profile_steps) not in (0, 2):
            raise ValueError(
                "'profile_steps' must hold a first and a last step, received "
                f"{self.profile_steps}."
            )


def may_change(config: attrs.AttrsInstance, name: str) -> bool:
    """Say whether a resumed run may have another value of a setting.

    A cosine over all epochs is another one with other epochs.
    """
    if name == "epochs" and isinstance(config, TrainConfig):
        cosine = config.learning_rate_schedule == "cosine"
        return not cosine or config.learning_rate_decay_steps > 0
    fields = attrs.fields_dict(type(config))
    return bool(fields[name].metadata.get("may_change"))


def check_precision(model: ModelConfig, train: TrainConfig, jit: bool, cpu: bool):
    """Refuse the one combination that TensorFlow can't compile.

    The gradient of bilinear resizing in low precision has no XLA kernel on CPU.

    Raises:
        RunError: For bilinear upsampling x low precision x jit on CPU.
    """
    bilinear = model.decoder == "upsampling" and model.upsampling == "bilinear"
    if bilinear and train.mixed_precision != "float32" and jit and cpu:
        raise errors.RunError(
            "Bilinear upsampling in low precision can't be compiled on CPU: received "
            f"--upsampling=bilinear and --mixed_precision={train.mixed_precision} with "
            "jit. Use --upsampling=nearest, --mixed_precision=float32 or "
            "--jit_compile=false."
        )
