"""Layers without weights: sampling, and activations that TensorFlow would spoil.

On a CPU, graphs fuse convolutions with what follows them, in float32. Two activations
come out wrong there, and are written so that nothing is fused.
"""

import keras
import tensorflow as tf

from vae_prod.model.kernels import normalization, ops


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
class LeakyReLU(keras.layers.Layer):
    """Return max(x, slope * x).

    TensorFlow's own, fused with convolution, bias and sum, takes 0.2 for the slope
    whatever was asked for.

    Args:
        slope: For x < 0; in (0, 1).
    """

    def __init__(self, slope: float, **kwargs):
        super().__init__(**kwargs)
        self.slope = slope
        self.built = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Apply it to each element."""

        @tf.custom_gradient
        def leaky_relu(x):
            y = tf.maximum(x, self.slope * x)
            return y, lambda d: normalization.leaky_relu_gradient(d, y, self.slope)

        return leaky_relu(inputs)

    def compute_output_shape(self, input_shape):
        """Return the shape of the inputs."""
        return input_shape

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return super().get_config() | {"slope": self.slope}


@keras.saving.register_keras_serializable("vae_prod")
class Tanh(keras.layers.Layer):
    """Return tanh(x), as 2 sigmoid(2 x) - 1.

    TensorFlow's own, fused with convolution and batch normalisation, fails.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Apply it to each element."""
        return 2.0 * tf.sigmoid(2.0 * inputs) - 1.0

    def compute_output_shape(self, input_shape):
        """Return the shape of the inputs."""
        return input_shape
