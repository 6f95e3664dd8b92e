"""The figures that models are judged by: names, labels, units, which way is better.

Nothing here imports TensorFlow.
"""

import attrs

from vae_prod.config import model as model_lib

HIGHER, LOWER, NEITHER = "higher", "lower", ""
# That of a VAE; an autoencoder has none.
POSTERIOR = "posterior"
# Not of a model whose loss has another divergence.
KL_LOSS = "kl_loss"
# Units as tables have them, and in words.
UNITS = {
    "": "",
    "dB": "dB",
    "nats/image": "nats per image",
    "bits": "bits per pixel and channel",
    "1/1000": "thousandths of a deviation",
}


@attrs.frozen
class Kind:
    """What it takes to read a figure.

    Attributes:
        name: Its name in files.
        text: Its name in a table, under the heading of its section.
        label: Its name where it stands by itself.
        unit: One of `UNITS`.
        better: `HIGHER` or `LOWER`; `NEITHER` where it ranks nothing.
        needs: What a model must have for it to have a value: `POSTERIOR`, `KL_LOSS`,
            or the trait of its likelihood, `has_nats` or `is_density`, and a posterior
            too; empty: every model has it.
        has_interval: Whether it is known how sure it is; not of sizes and of extremes,
            which other images don't spread around.
    """

    name: str
    text: str
    label: str
    unit: str = ""
    better: str = NEITHER
    needs: str = ""
    has_interval: bool = True

    @property
    def minimize(self) -> bool:
        """Whether a search for the best looks for the lowest."""
        return self.better != HIGHER

    def exists_for(self, model: model_lib.ModelConfig) -> bool:
        """Say whether it has a value for a model."""
        if not self.needs:
            return True
        if self.needs == POSTERIOR:
            return model.is_vae
        if self.needs == KL_LOSS:
            return model.has_kl_loss
        return model.is_vae and getattr(model.likelihood, self.needs)


_LOSSES = (
    # What falls with fact ranks nothing but models of the same fact.
    Kind("total_loss", "total", "total loss", needs=KL_LOSS),
    Kind("reco_loss", "reconstruction", "reconstruction loss", "", LOWER),
    Kind("kl_loss", "KL times fact", "KL loss", needs=KL_LOSS),
)
_LIKELIHOOD = (
    Kind(
        "reconstruction_nats", "reconstruction", "reconstruction", "nats/image", LOWER
    ),
    Kind("kl", "KL", "KL", "nats/image"),
    Kind("elbo", "ELBO", "ELBO", "nats/image", HIGHER, "has_nats"),
    Kind("bits_per_dim", "bits/dim", "bits per dimension", "bits", LOWER, "is_density"),
    Kind(
        "importance_bound",
        "weighted bound",
        "importance-weighted bound",
        "nats/image",
        HIGHER,
        "has_nats",
    ),
)
_IMAGES = (
    Kind("mse", "MSE", "MSE of reconstructions", "", LOWER),
    Kind("psnr", "PSNR", "PSNR of reconstructions", "dB", HIGHER),
    Kind("ssim", "SSIM", "SSIM of reconstructions", "", HIGHER),
    Kind("explained_variance", "explained variance", "variance explained", "", HIGHER),
    Kind(
        "reconstruction_distance",
        "sliced Wasserstein distance",
        "distance of reconstructions",
        "1/1000",
        LOWER,
    ),
    Kind(
        "sample_distance",
        "sliced Wasserstein distance",
        "distance of images of random z",
        "1/1000",
        LOWER,
    ),
    Kind("distance", "distance", "both distances, weighted", "1/1000", LOWER),
    Kind(
        "sample_frechet",
        "Fréchet distance",
        "Fréchet distance of images of random z",
        "",
        LOWER,
    ),
    Kind(
        "reconstruction_frechet",
        "Fréchet distance",
        "Fréchet distance of reconstructions",
        "",
        LOWER,
    ),
    Kind("frechet", "Fréchet", "both Fréchet distances, weighted", "", LOWER),
)
# Of samples and of reconstructions, mean differences from real images, see
# `evaluation.pixel_statistics`.
_STATISTICS = (
    Kind("brightness", "brightness, above real images'", "brightness above real"),
    Kind("contrast", "contrast, above real images'", "contrast above real"),
    Kind("saturation", "saturation, above real images'", "saturation above real"),
    Kind("detail", "detail, above real images'", "detail above real", "dB"),
)
# See `evaluation.recognition`.
_RECOGNISED = (
    Kind("samples_recognised", "recognised", "samples recognised", "", HIGHER),
    Kind(
        "reconstructions_recognised",
        "recognised",
        "reconstructions recognised",
        "",
        HIGHER,
    ),
    Kind("real_recognised", "of real images", "real images recognised"),
)
# Of each period, see `evaluation.checkerboard`.
_CHECKERBOARDS = (
    Kind("checkerboard_excess", "excess", "excess of a checkerboard", "dB", LOWER),
    Kind("checkerboard_energy", "energy", "energy of a checkerboard", "dB"),
)
# By each feature extractor.
_FEATURES = (
    Kind("fid", "FID", "FID", "", LOWER),
    Kind("kid", "KID", "KID", "", LOWER),
    Kind("precision", "precision", "precision", "", HIGHER),
    Kind("recall", "recall", "recall", "", HIGHER),
    Kind("density", "density", "density", "", HIGHER),
    Kind("coverage", "coverage", "coverage", "", HIGHER),
    Kind(
        "reconstruction_fid",
        "reconstructions' FID",
        "FID of reconstructions",
        "",
        LOWER,
    ),
    Kind(
        "reconstruction_kid",
        "reconstructions' KID",
        "KID of reconstructions",
        "",
        LOWER,
    ),
)
_LATENT = (
    Kind("z_dim", "dimensions", "latent dimensions", has_interval=False),
    Kind("active_units", "active units", "active units"),
    Kind("noise_share", "noise's share of variance", "noise's share of variance"),
    Kind("radius", "mean |z_mean|", "mean |z_mean|"),
    Kind("sampled_radius", "mean |z|", "mean |z|"),
    Kind("prior_radius", "sqrt(z_dim)", "√z_dim, the prior's |z|", has_interval=False),
    Kind("z_log_var", "mean z_log_var", "mean z_log_var", needs=POSTERIOR),
    Kind("mean_offset", "|mean of z_j|, mean over j", "mean |mean of z_j|"),
    Kind("largest_offset", "largest", "largest |mean of z_j|", has_interval=False),
    Kind("mean_deviation", "deviation of z_j, mean", "mean deviation of z_j"),
    Kind(
        "smallest_deviation",
        "smallest",
        "smallest deviation of z_j",
        has_interval=False,
    ),
    Kind(
        "largest_deviation", "largest", "largest deviation of z_j", has_interval=False
    ),
)
_ALL = (
    *_LOSSES,
    *_LIKELIHOOD,
    *_IMAGES,
    *_STATISTICS,
    *_RECOGNISED,
    *_CHECKERBOARDS,
    *_FEATURES,
    *_LATENT,
)
FIGURES = {kind.name: kind for kind in _ALL}
FEATURES = tuple(kind.name for kind in _FEATURES)
