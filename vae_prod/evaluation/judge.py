"""Who judges a model's images: chosen by what the real ones show.

Of photographs of faces, a face detector is the best judge there is without a download;
of anything else, gradients and colours. The study `measures` shows how far each agrees
with the eye.
"""

import attrs
import numpy as np

from vae_prod.evaluation import recognition
from vae_prod.evaluation.features import face_network, gradients

AUTO, NONE = "auto", "none"
# Real images that are looked at, and the share in which faces must be found.
NUM_IMAGES, _FACES = 32, 0.9
# The least side of an image in which a face is looked for.
_LEAST_SIDE = 32


@attrs.frozen
class Choice:
    """Who judges, and why.

    Attributes:
        judge: Feature extractor that models are ranked by, see `features.extractors`.
        recogniser: What says whether an image shows its subject; `NONE`: nothing.
        reason: Of the choice, a sentence; empty where there was none to make.
    """

    judge: str
    recogniser: str
    reason: str


def choose(judge: str, recogniser: str, images: np.ndarray) -> Choice:
    """Decide who judges, where `AUTO` leaves it open.

    Args:
        judge: As flags have it, `AUTO` among them.
        recogniser: The same.
        images: Real ones, uint8 or float in [0, 1] [N, H, W, C]; `NUM_IMAGES` are
            enough.
    """
    if AUTO not in (judge, recogniser):
        return Choice(judge, recogniser, "")
    has_faces, reason = shows_faces(images[:NUM_IMAGES])
    best = face_network.NAME if has_faces else gradients.NAME
    found = face_network.NAME if has_faces else NONE
    return Choice(
        best if judge == AUTO else judge,
        found if recogniser == AUTO else recogniser,
        f"judged by {best if judge == AUTO else judge}: {reason}",
    )


def shows_faces(images: np.ndarray) -> tuple[bool, str]:
    """Say whether real images show faces that the detector finds, and why not."""
    if min(images.shape[1:3]) < _LEAST_SIDE:
        return False, f"in images below {_LEAST_SIDE} pixels no detector finds faces"
    if not face_network.is_installed():
        return False, (
            "for photographs of faces a face detector is the better judge, and finds "
            "what isn't one; install it by pip install 'vae_prod[faces]'"
        )
    network = recognition.load(face_network.NAME, images.shape[1:])
    share = float(network.recognised(images).mean())
    found = f"the detector finds a face in {share:.0%} of {len(images)} real images"
    return share >= _FACES, found
