"""What the model computes."""

import attrs
from attrs import validators

from pipelines import settings
from vae_prod.config import decoders, divergences, schedules
from vae_prod.config import likelihoods as likelihoods_lib

ACTIVATIONS = ("leaky_relu", "relu", "elu", "selu", "gelu", "silu", "tanh")


@attrs.frozen
class ModelConfig:
    """What the model computes: its networks and its objective.

    Attributes:
        image_shape: (height, width, channels); a fact of the data, not a flag.
    """

    image_shape: tuple[int, int, int] = attrs.field(
        default=(96, 96, 3), converter=settings.as_tuple
    )
    mode: str = settings.setting(
        "vae",
        "vae, or ae for a plain autoencoder (no sampling, no KL loss; z_mean is z).",
        validators.in_(("vae", "ae")),
    )
    z_dim: int = settings.setting(
        256, "Dimensions of the latent space.", settings.positive
    )
    filters: tuple[int, ...] = settings.sizes(
        (32, 64, 128, 256), "Filters of the encoder's convolutions, one per level."
    )
    kernel_sizes: tuple[int, ...] = settings.sizes(
        (3,), "Kernel sizes of the encoder's levels; one number serves all levels."
    )
    strides: tuple[int, ...] = settings.sizes(
        (2,), "Strides of the encoder's levels; one number serves all levels."
    )
    blocks: str = settings.setting(
        "plain",
        "One convolution a level, or a residual block.",
        validators.in_(("plain", "residual")),
    )
    encoder_dense: int = settings.setting(
        0,
        "Units of a dense layer before the latent heads; 0: none.",
        settings.not_negative,
    )
    decoder: str = settings.choice(
        "conv2d_transpose", "How the decoder enlarges maps.", decoders.DECODERS
    )
    upsampling: str = settings.setting(
        "nearest",
        "Interpolation of the upsampling decoder.",
        validators.in_(("nearest", "bilinear")),
    )
    decoder_filters: tuple[int, ...] = settings.sizes(
        (),
        "Filters of the decoder's levels, before the image: one per level with "
        "decoder_output=extra_conv, one fewer with last. Default: the encoder's, "
        "mirrored.",
    )
    decoder_output: str = settings.setting(
        "last",
        "last: the last level gives the image; extra_conv: a convolution of stride 1 "
        "after it does.",
        validators.in_(("last", "extra_conv")),
    )
    activation: str = settings.setting(
        "leaky_relu",
        "Activation after each convolution (leaky_relu has slope 0.3).",
        validators.in_(ACTIVATIONS),
    )
    batch_norm: bool = settings.setting(
        True, "Batch normalisation between convolution and activation."
    )
    group_norm: int = settings.setting(
        0,
        "Groups of group normalisation, which then takes the place of batch "
        "normalisation (for batches of a few images, and for float16; try 8); 0: none.",
        settings.not_negative,
    )
    dropout: float = settings.setting(
        0.0,
        "Fraction dropped after each activation.",
        settings.not_negative,
        validators.lt(1.0),
    )
    reconstruction: str = settings.choice(
        "bce", "Reconstruction likelihood.", likelihoods_lib.LIKELIHOODS
    )
    reconstruction_weight: float = settings.setting(
        0.0,
        "0: the loss is averaged over channels and summed over pixels; w > 0: w times "
        "the mean over all elements.",
        settings.not_negative,
    )
    divergence: str = settings.choice(
        divergences.KL, "What fact weighs.", divergences.DIVERGENCES
    )
    fact: float = settings.setting(
        5.0,
        f"Weight of the KL loss (try {likelihoods_lib.known_facts()}), or of another "
        "divergence.",
        settings.not_negative,
    )
    fact_schedule: str = settings.choice(
        "constant", "How fact is reached.", schedules.FACT_SCHEDULES
    )
    fact_warmup_steps: int = settings.setting(
        1000, "Steps of one ramp of fact_schedule.", settings.positive
    )
    free_bits: float = settings.setting(
        0.0,
        "Nats per latent dimension (batch mean) that the KL loss doesn't charge for.",
        settings.not_negative,
    )
    epsilon_limit: float = settings.setting(
        5.0,
        "Limit of |epsilon| in the latent noise; 0: unlimited.",
        settings.not_negative,
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
        if self.free_bits and self.divergence != divergences.KL:
            raise ValueError(
                f"'free_bits' are of the KL loss; with divergence={self.divergence} "
                f"leave them at 0, received {self.free_bits:g}."
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
    def likelihood(self) -> likelihoods_lib.Likelihood:
        """What is known of the likelihood of `reconstruction`."""
        return likelihoods_lib.LIKELIHOODS[self.reconstruction]

    @property
    def has_elbo(self) -> bool:
        """Whether there is an ELBO: of a VAE whose likelihood has nats."""
        return self.is_vae and self.likelihood.has_nats

    @property
    def has_divergence(self) -> bool:
        """Whether there is a divergence for `fact` to weigh."""
        needs_posterior = divergences.DIVERGENCES[self.divergence].needs_posterior
        return self.is_vae or not needs_posterior

    @property
    def has_kl_loss(self) -> bool:
        """Whether the loss is that of the reconstruction and of the KL, or none."""
        return self.divergence == divergences.KL

    @property
    def is_vae(self) -> bool:
        """Whether there is a posterior to sample from (not a plain autoencoder)."""
        return self.mode == "vae"
