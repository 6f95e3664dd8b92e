"""Figures that others have published, for models that they can be compared with.

CelebA at 96x96x3 with 170,000 training images, batches of 128 and 24 epochs; and
Fashion-MNIST padded to 32x32x1, batches of 100. Losses are those of training, in the
training convention of `model.likelihoods`.
"""

import attrs

from tools.studies import lab as lab_lib
from vae_prod import config as config_lib

_REFERENCE_FILTERS = (32, 64, 128, 256)
_CELEBA = "CelebA, 170,000 training images, 24 epochs of 1,329 steps"
_FASHION = "Fashion-MNIST, 60,000 training images, {} epochs of 600 steps"

RADII = (
    "Published, of CelebA with 256 dimensions: an autoencoder's radii are fullest near "
    "16.75, nearly all from 12 to 24 and more than half from 14 to 19; those of a VAE "
    "with fact 1e-5 near 16."
)
TINY_KL = (
    "Published, of CelebA's 170,000 training images with fact 1e-5 after 24 epochs: "
    "z_log_var has a mean of -13.4 to -13.7, from -22 ... -25 to -2 ... 3.4; "
    "|z - z_mean| is at most 0.26; radii have a mean of 16.284, from 6.50 to 33.1; "
    "those of z and z_mean differ by a share of 6.1e-5 in the mean and 7e-4 at most. "
    "It takes many updates until z_log_var is that low."
)


@attrs.frozen
class Published:
    """Figures of one model.

    Attributes:
        setting: What it was trained on, and for how long.
        losses: Name of a loss, as in `history.csv`, to its published value in words.
        divided_by: What our losses are divided by to be in the published convention.
    """

    setting: str
    losses: dict[str, str]
    divided_by: float = 1.0


def of(opened: lab_lib.Opened) -> Published | None:
    """Return what is published for a run's model and data; None where nothing is."""
    config, data = opened.run.model, opened.data_name
    if data == "celeb_a" and config.image_shape == (96, 96, 3):
        return _celeba(config)
    if "fashion" in data and config.image_shape == (32, 32, 1):
        return _fashion(config)
    return None


def _celeba(config: config_lib.ModelConfig) -> Published | None:
    summed = config.reconstruction == "bce" and not config.reconstruction_weight
    summed = summed and config.has_kl_loss
    is_reference = config.filters == _REFERENCE_FILTERS and config.z_dim == 256
    if not (summed and is_reference):
        return None
    if not config.is_vae and not config.uses_batch_norm:
        return Published(_CELEBA, {"total_loss": "4,515"})
    if config.is_vae and config.fact == 5:
        return Published(_CELEBA, {"total_loss": "about 5,015", "kl_loss": "176"})
    if config.is_vae and config.fact == 1e-5:
        losses = {"total_loss": "4,553 to 4,555", "kl_loss": "0.0178"}
        return Published(_CELEBA, losses)
    return None


def _fashion(config: config_lib.ModelConfig) -> Published | None:
    weight, is_reference = config.reconstruction_weight, config.z_dim == 2
    is_reference = is_reference and config.has_kl_loss
    if config.reconstruction != "bce" or not weight or not is_reference:
        return None
    if not config.is_vae:
        losses = {"total_loss": "0.2536", "val_total_loss": "0.2540"}
        return Published(_FASHION.format(3), losses, divided_by=weight)
    if weight == 500 and config.fact == 1:
        losses = {
            "total_loss": "132.78",
            "reco_loss": "127.67",
            "kl_loss": "5.11",
            "val_total_loss": "135.89",
            "val_reco_loss": "130.74",
            "val_kl_loss": "5.15",
        }
        return Published(_FASHION.format(5), losses)
    return None
