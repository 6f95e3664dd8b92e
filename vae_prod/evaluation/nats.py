"""Negative log-likelihood of decoded images, in nats per image.

Models are evaluated by what an export gives as well as a run: latent points, and
decoded images in [0, 1]. Logits are recovered from these, log(p) - log(1 - p). Close to
1 float32 is coarse: up to 6, logits come back to 1e-5, at 12 to half a percent, and a
pixel nearer to 1 than 2^-24 counts as if it were that far, so that black in its place
costs 16.6 nats and no more. Of the reference VAE (logits up to 5) nats per image are
the same to 2 in 10 million.
"""

import numpy as np
import tensorflow as tf

from vae_prod.evaluation import subject as subject_lib
from vae_prod.model import likelihoods

# Probabilities that logits are recovered from: what float32 has between 0 and 1.
_LEAST, _MOST = np.finfo(np.float32).tiny, 1 - 2.0**-24


def reconstruction_nats(
    subject: subject_lib.Subject, images: tf.Tensor, targets: tf.Tensor
) -> tf.Tensor:
    """Return -log p(targets | z) of decoded images: float32 [B], nats per image."""
    images = tf.clip_by_value(images, _LEAST, _MOST)
    logits = tf.math.log(images) - tf.math.log1p(-images)
    variance = subject.codec.variance
    return likelihoods.reconstruction_nats(
        subject.config, logits, targets, lambda error: tf.constant(variance)
    )
