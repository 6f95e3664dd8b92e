"""Protocols: how papers made CelebA's images, so that their figures compare.

A protocol sets the flags of a conversion that it names (where it has a split of its
own, which images are in it is drawn anew, as many); the manifest keeps its name,
and every figure taken on the data shows it. Crops are in pixels of the aligned images,
of size `PICTURES`. Pillow's filters are antialiased, as those of the codes are; at a
crop's edge they take in what is beyond it, where the codes cut first. Images are stored
without loss, for none of the codes encoded them again.
"""

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Protocol:
    """A protocol.

    Attributes:
        text: What it is, for the help.
        source: Where it is stated.
        unstated: What of it is stated nowhere and was chosen here; empty: nothing.
        settings: Names of settings of a conversion to their values.
    """

    text: str
    source: str = ""
    unstated: str = ""
    settings: Mapping[str, Any] = attrs.field(factory=dict)


def _settings(size: int, crop: str, resample: str, *counts: int) -> dict[str, Any]:
    """Return the settings; `counts` of training, validation and test, if any."""
    divided = {}
    if counts:
        ratios = tuple(count / sum(counts) for count in counts)
        divided = {"split_by": "key", "split_ratios": ratios}
    return {
        "image_size": size,
        "crop": crop,
        "resample": resample,
        "channels": "3",
        "encoding": "raw",
        **divided,
    }


# Width and height of the pictures that the crops are meant for.
PICTURES = (178, 218)

PROTOCOLS = {
    "none": Protocol("the flags as they are given"),
    "seed_96": Protocol(
        "the series of studies that the package repeats: 96 x 96",
        source="tools/studies/published.py",
        unstated="crop, filter, and which images are in which split",
        settings=_settings(96, "square", "lanczos", 170_000, 10_000, 22_599),
    ),
    "two_stage_64": Protocol(
        "Diagnosing and Enhancing VAE Models: centre 128",
        source="Dai & Wipf, 2019, arXiv:1903.05789; load_celeba_data of its code",
        settings=_settings(64, "128", "bilinear"),
    ),
    "wae_64": Protocol(
        "Wasserstein Auto-Encoders: centre 140, 20,000 images for tests",
        source="Tolstikhin et al., 2018, arXiv:1711.01558; closecrop of its code",
        settings=_settings(64, "140", "lanczos", 182_599, 0, 20_000),
    ),
    "rae_64": Protocol(
        "From Variational to Deterministic Autoencoders: centre 140",
        source="Ghosh et al., 2020, arXiv:1903.12436, appendix",
        unstated="the filter",
        settings=_settings(64, "140", "bilinear"),
    ),
    "pytorch_vae_64": Protocol(
        "PyTorch-VAE: centre 148",
        source="VAEDataset of the code of AntixK/PyTorch-VAE",
        settings=_settings(64, "148", "bilinear"),
    ),
    "nvae_64": Protocol(
        "NVAE and Efficient-VDVAE: the box 15, 40, 163, 188",
        source="Vahdat & Kautz, 2020, arXiv:2007.03898; CropCelebA64 of its code",
        settings=_settings(64, "box:15,40,163,188", "bilinear"),
    ),
}
