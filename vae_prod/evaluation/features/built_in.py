"""Feature extractors that come with the package, or with an extra of it.

Both bring features of several kinds to one scale, that of the real images: distances by
them say how large a difference is in units of what real images differ by.
"""

from collections.abc import Callable

import tensorflow as tf

from vae_prod.evaluation.features import extractor, face_network, gradients


def load_gradients(image_shape: tuple[int, int, int]) -> extractor.Extractor:
    """Return the extractor that needs no weights, see `gradients`."""
    return _extractor(gradients, gradients.features, image_shape)


def load_faces(image_shape: tuple[int, int, int]) -> extractor.Extractor:
    """Return what a face detector knows of images, see `face_network`.

    Raises:
        UserError: The extra isn't installed.
    """
    return _extractor(face_network, face_network.features(), image_shape)


def _extractor(
    module, features: Callable, image_shape: tuple[int, int, int]
) -> extractor.Extractor:
    repeats = 3 // image_shape[-1]
    is_shrunk = min(image_shape[:2]) > module.SIZE[0]

    @tf.function(reduce_retracing=True, autograph=False)
    def extract(images):
        images = tf.repeat(tf.cast(images, tf.float32), repeats, axis=-1)
        # Enlarged ones by the same filter, without what it smooths against moiré.
        images = tf.image.resize(images, module.SIZE, "bilinear", antialias=is_shrunk)
        return features(images)

    return extractor.Extractor(
        name=module.NAME,
        digest=module.DIGEST,
        kind=module.NAME,
        resizing="bilinear with antialiasing to 48x48",
        extract=lambda images: extract(tf.constant(images)).numpy(),
        groups=module.GROUPS,
    )
