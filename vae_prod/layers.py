"""The sampling layer."""

import keras
import tensorflow as tf

from vae_prod import ops


@keras.saving.register_keras_serializable("vae_prod")
class Sampling(keras.layers.Layer):
    """Sample z = z_mean + exp(z_log_var / 2) * epsilon * epsilon_scale.

    Kingma & Welling (2014), eq. 10. The noise is stateless: the seed that is passed
    decides it, so a resumed run repeats what an uninterrupted one would have drawn.

    Args:
        epsilon_limit: Limit of |epsilon|; 0: unlimited.
    """

    def __init__(self, epsilon_limit: float = 5.0, **kwargs):
        # Latent quantities stay in float32 whatever the precision of the maps.
        super().__init__(dtype="float32", **kwargs)
        self.epsilon_limit = epsilon_limit
        self.built = True

    def call(
        self,
        z_mean: tf.Tensor,
        z_log_var: tf.Tensor,
        seed: tf.Tensor,
        epsilon_scale: tf.Tensor | float = 1.0,
    ) -> tf.Tensor:
        """Draw one z per example.

        Args:
            z_mean: float32 [B, z_dim].
            z_log_var: float32 [B, z_dim].
            seed: int32 or int64 [2].
            epsilon_scale: Factor of the noise; 0 returns z_mean.

        Returns:
            z float32 [B, z_dim].
        """
        epsilon = ops.limited_normal(tf.shape(z_mean), seed, self.epsilon_limit)
        return ops.reparameterize(z_mean, z_log_var, epsilon * epsilon_scale)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        config = {"epsilon_limit": self.epsilon_limit, "name": self.name}
        return config | {"trainable": self.trainable}
