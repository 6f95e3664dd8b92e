"""What an export computes: six functions of a model and what was fitted to it."""

import functools
from collections.abc import Mapping

import attrs
import numpy as np
import tensorflow as tf

from vae_prod.latent import fitted, sampling
from vae_prod.latent import samplers as samplers_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import checks, pictures

_Tensors = dict[str, tf.Tensor]


@attrs.frozen(eq=False)
class Extras:
    """What is served beside the model itself.

    Attributes:
        preparation: How training images were made of pictures.
        samplers: What was fitted to encoded images, by name, beside the prior.
        vectors: Attributes' vectors by name, float32 [z_dim].
        sharpness: Factor by which PNG files are sharpened; 1: they aren't.
        max_batch: Rows of a request at most.
        limits: Pixels of pictures at most.
    """

    preparation: pictures.Preparation
    samplers: Mapping[str, fitted.Fitted] = attrs.field(factory=dict)
    vectors: Mapping[str, np.ndarray] = attrs.field(factory=dict)
    sharpness: float = 1.0
    max_batch: int = 256
    limits: pictures.Limits = pictures.DEFAULT_LIMITS


class Functions:
    """The six functions, of checked inputs, and the ways from and to files.

    Attributes:
        config: What the model computes.
        extras: What is served beside it.
        weights: The model's own variables.
        samplers: Name to the variables of a fitted sampler.
        vectors: Variable float32 [A + 1, z_dim], the attributes' vectors, and zeros.
        to_files: float32 [B, H, W, C] in [0, 1] to PNG files, string [B].
    """

    def __init__(self, model: vae_lib.VAE, extras: Extras):
        """Take a model of float32 and what is served beside it."""
        self.config = model.config
        self.extras = extras
        variables = [*model.encoder.variables, *model.decoder.variables]
        self.weights = [variable.value for variable in variables]
        self.samplers = {
            name: [tf.Variable(array, trainable=False) for array in density.arrays()]
            for name, density in sorted(extras.samplers.items())
        }
        vectors = np.stack([*extras.vectors.values(), np.zeros(model.config.z_dim)])
        self.vectors = tf.Variable(vectors, trainable=False, dtype=tf.float32)
        # Traced once, called by all.
        images = tf.TensorSpec([None, *model.config.image_shape], tf.float32)
        points = tf.TensorSpec([None, model.config.z_dim], tf.float32)
        self._encoder = tf.function(
            lambda image: model.encoder(image, training=False), input_signature=[images]
        )
        self._decoder = tf.function(lambda z: model.decode(z), input_signature=[points])
        self._preparation = tf.function(extras.preparation)
        self.to_files = tf.function(
            lambda image: pictures.encode_png(image, extras.sharpness),
            input_signature=[images],
        )

    def encode(self, image: tf.Tensor) -> _Tensors:
        """Encode images."""
        return self._encoder(self._image("image", image))

    def decode(self, z: tf.Tensor) -> _Tensors:
        """Decode points."""
        z = checks.finite("z", self._rows("z", z, (self.config.z_dim,)))
        return {"image": self._decoder(z)}

    def reconstruct(self, image: tf.Tensor) -> _Tensors:
        """Encode images and decode their z_mean."""
        return {"image": self._decoder(self.encode(image)["z_mean"])}

    def generate(
        self, seed: tf.Tensor, temperature: tf.Tensor, sampler: tf.Tensor
    ) -> _Tensors:
        """Draw z by seed, sampler and temperature, and decode it."""
        seed = self._rows("seed", seed)
        temperature = self._alike("temperature", temperature, "seed", seed)
        temperature = checks.not_negative("temperature", temperature)
        sampler = self._alike("sampler", sampler, "seed", seed)
        number = checks.one_of("sampler", sampler, [samplers_lib.PRIOR, *self.samplers])

        def draw(row):
            seed, temperature, number = row
            z_dim = self.config.z_dim
            cases = [lambda: temperature * sampling.normal(seed, z_dim)]
            for name, arrays in self.samplers.items():
                draw_one = functools.partial(self.extras.samplers[name].draw, seed)
                cases.append(functools.partial(draw_one, arrays, temperature))
            return tf.switch_case(number, cases)

        z = sampling.draw_each(draw, (seed, temperature, number), self.config.z_dim)
        return {"image": self._decoder(z)}

    def interpolate(
        self, start: tf.Tensor, end: tf.Tensor, weight: tf.Tensor
    ) -> _Tensors:
        """Encode two images and decode the point between their z_mean."""
        start = self._image("start", start)
        end = self._image("end", end)
        end = checks.as_many("end", end, "start", tf.shape(start)[0])
        weight = self._alike("weight", weight, "start", start)
        weight = checks.finite("weight", weight)[:, None]
        both = self._encoder(tf.concat([start, end], axis=0))["z_mean"]
        first, last = tf.split(both, 2)
        return {"image": self._decoder(first * (1.0 - weight) + last * weight)}

    def edit(
        self, image: tf.Tensor, attribute: tf.Tensor, strength: tf.Tensor
    ) -> _Tensors:
        """Encode images, add attributes' vectors and decode."""
        image = self._image("image", image)
        attribute = self._alike("attribute", attribute, "image", image)
        number = checks.one_of("attribute", attribute, list(self.extras.vectors))
        strength = self._alike("strength", strength, "image", image)
        strength = checks.finite("strength", strength)[:, None]
        z = self._encoder(image)["z_mean"]
        return {"image": self._decoder(z + strength * tf.gather(self.vectors, number))}

    def _rows(
        self, name: str, tensor: tf.Tensor, shape: tuple[int, ...] = ()
    ) -> tf.Tensor:
        tensor = checks.row_shape(name, tensor, shape)
        return checks.rows(name, tensor, self.extras.max_batch)

    def _alike(
        self, name: str, tensor: tf.Tensor, other: str, reference: tf.Tensor
    ) -> tf.Tensor:
        tensor = self._rows(name, tensor)
        return checks.as_many(name, tensor, other, tf.shape(reference)[0])

    def _image(self, name: str, image: tf.Tensor) -> tf.Tensor:
        image = self._rows(name, image, self.config.image_shape)
        return checks.unit_range(name, image)

    def from_files(self, name: str, contents: tf.Tensor) -> tf.Tensor:
        """Decode files to images as training prepared them."""
        return self._preparation(name, self._rows(name, contents), self.extras.limits)
