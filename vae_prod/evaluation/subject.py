"""A trained model as it is evaluated: from memory, from a run or from an export."""

import attrs

from vae_prod import config as config_lib
from vae_prod.model import codec as codec_lib
from vae_prod.model import vae as vae_lib


@attrs.frozen
class Subject:
    """A trained model as it is evaluated, from a run or from an export.

    Attributes:
        codec: Its encoder and decoder.
        config: What it computes.
    """

    codec: codec_lib.Codec
    config: config_lib.ModelConfig

    @classmethod
    def from_model(cls, model: vae_lib.VAE) -> "Subject":
        """Take a model in memory, with the weights it has whenever it is evaluated."""
        return cls(codec_lib.from_model(model), model.config)
