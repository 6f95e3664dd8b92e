"""Images given damaged, and what a model trained to undo that makes of them."""

import attrs
import numpy as np

from tools.studies import lab as lab_lib
from tools.studies import pictures
from vae_prod.evaluation import image_similarity
from vae_prod.latent import moments as moments_lib
from vae_prod.reporting import image_grids, report


@attrs.frozen
class Restored:
    """How near images are to the clean ones, before and after, over a split.

    Attributes:
        num_images: Images measured.
        psnr_given: PSNR in decibels of the damaged images, the mean of theirs.
        psnr_restored: The same of the restored ones.
        saturation_given: Mean over pixels of the largest channel less the smallest,
            in [0, 1], of the damaged images: 0 is grey.
        saturation_restored: The same of the restored ones.
        saturation_clean: The same of the clean ones.
    """

    num_images: int
    psnr_given: float
    psnr_restored: float
    saturation_given: float
    saturation_restored: float
    saturation_clean: float


def measure(lab: lab_lib.Lab, opened: lab_lib.Opened) -> Restored:
    """Measure a run on all held-out images, a batch at a time."""
    moments = moments_lib.Moments()
    for batch in lab.batches(opened, lab.held_out):
        damaged, clean = (batch[name].numpy() / 255.0 for name in ("image", "target"))
        z_mean = opened.codec.encode(batch["image"].numpy())["z_mean"]
        restored = opened.codec.decode(z_mean)
        psnr = [_psnr(images, clean) for images in (damaged, restored)]
        colours = [_saturation(images) for images in (damaged, restored, clean)]
        moments.update(np.stack([*psnr, *colours], axis=1))
    return Restored(lab.num_images(lab.held_out), *map(float, moments.mean))


def _psnr(images: np.ndarray, clean: np.ndarray) -> np.ndarray:
    return image_similarity.psnr(np.mean((images - clean) ** 2, axis=(1, 2, 3)))


def _saturation(images: np.ndarray) -> np.ndarray:
    return np.mean(images.max(axis=-1) - images.min(axis=-1), axis=(1, 2))


def picture(
    lab: lab_lib.Lab, opened: lab_lib.Opened, split: str, name: str
) -> report.Picture:
    """Show images of a split: clean, as the model was given them, as it gave them."""
    chosen = lab.choose(opened, split, lab.study.rows * lab.study.columns)
    z_mean = opened.codec.encode(chosen["image"])["z_mean"]
    restored = image_grids.to_uint8(opened.codec.decode(z_mean))
    return pictures.pairs(
        name,
        lab.study.columns,
        f"Images of the {split} split: the clean image, below it what the model is "
        "given, below that what it makes of it.",
        chosen["target"],
        chosen["image"],
        restored,
    )
