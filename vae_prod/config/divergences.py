"""What keeps encoded images where the prior has its points, by name.

A table without TensorFlow. `model.vae` computes each, and `fact` is its weight.
"""

import attrs


@attrs.frozen
class Divergence:
    """What is known of a divergence before anything is computed.

    Attributes:
        text: What it measures, for `--help`.
        label: Its name in a line.
        needs_posterior: Whether it is of each image's posterior, so that an
            autoencoder, which has none, is trained without it.
    """

    text: str
    label: str
    needs_posterior: bool


KL, MMD = "kl", "mmd"
DIVERGENCES = {
    KL: Divergence(
        "the KL divergence of each image's posterior from N(0, I)",
        "KL",
        needs_posterior=True,
    ),
    MMD: Divergence(
        "the maximum mean discrepancy of a batch's z from N(0, I), of a vae or an ae, "
        "which a batch of some hundred images is for",
        "MMD",
        needs_posterior=False,
    ),
}
