"""Layers that Keras hasn't: sampling, and batch normalisation by the fused kernel."""

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


@keras.saving.register_keras_serializable("vae_prod")
class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation of maps [B, H, W, C], by TensorFlow's fused kernel.

    Keras composes it of single operations. Their gradients meet in sums of three
    terms, which TensorFlow adds in an order that depends on which buffer is free at
    that moment: the same seed gave other bits. The fused kernel has one gradient.

    Weights, moving averages and what it computes otherwise are those of Keras.
    """

    def call(self, inputs, training=None, mask=None):
        """Normalise by the batch's statistics in training, else by the moving ones.

        Args:
            inputs: [B, H, W, C]; statistics are float32 whatever their precision.
            training: Whether to use and to follow the batch's statistics.
            mask: Ignored; images have none.

        Returns:
            Like `inputs`.
        """
        if not (training and self.trainable):
            return super().call(inputs, training=training)
        maps, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=[],
            variance=[],
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel's variance is divided by one less than the count, Keras' by it.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        self._follow(self.moving_mean, mean)
        self._follow(self.moving_variance, variance * (1.0 - 1.0 / count))
        return maps

    def _follow(self, moving: keras.Variable, value: tf.Tensor) -> None:
        momentum = self.momentum
        moving.assign(moving * momentum + value * (1.0 - momentum))
