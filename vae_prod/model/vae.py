"""The model: a Keras VAE (or plain autoencoder) with its own train step.

The step, for images x of a batch, and where each part of it is:

    q(z | x) = N(z_mean, diag exp(z_log_var))        networks.encoder
    z = z_mean + exp(z_log_var / 2) * epsilon        layers.Sampling, kernels.ops
    logits = decoder(z)                              networks.decoder
    nats = -log p(x | z), summed over an image       likelihoods.reconstruction_nats
    kl = sum_j -1/2 (1 + log_var_j - mean_j^2 - exp(log_var_j))
                                                     ops.diagonal_gaussian_kl
    reco_loss = scale * mean over images of nats     likelihoods.training_scale
    kl_loss = fact(step) * mean over images of kl    kl.fact_at, kl.charged_kl
    mmd_loss in its place, with divergence=mmd:
    fact(step) * the discrepancy of the batch's z    kernels.discrepancy
    total_loss = reco_loss + kl_loss or mmd_loss     VAE.losses
    elbo = -(nats + kl), in nats per image           VAE.losses
    gradients, by the tape, of parts of a batch      steps
    a step that isn't finite changes nothing         optim.guard
    Adam, accumulation, clipping, averages           optim.adam

epsilon is a function of (seed, stream, step, part of the batch) alone:
`VAE.noise_seed`. What
makes it fast stays behind layers and ops: `kernels.convolution`,
`kernels.normalization`, `kernels.fusing`.
"""

import attrs
import keras
import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.core import accelerators
from vae_prod.model import batches, layers, likelihoods, networks, own_networks, steps
from vae_prod.model import kl as kl_lib
from vae_prod.model.kernels import discrepancy, ops
from vae_prod.optim import adam, guard
from vae_prod.optim import exchange as exchange_lib

_NUM_STREAMS = 4
_MAX_REPLICAS = 2**16
# Added to the seed of a batch's latent noise: that of the prior's points beside it.
_PRIOR = (2**62, 0)
# The optimal variance is a batch statistic; validation uses its moving average.
_VARIANCE_MOMENTUM = 0.99

# Every image enters a model by it.
scale_images = ops.scale_images


@keras.saving.register_keras_serializable("vae_prod")
class VAE(keras.Model):
    """Variational autoencoder, Kingma & Welling (2014).

    Called, it reconstructs images; `encoder`, `decoder` and `decode` are its parts.

    Trained on images, [B, H, W, C], uint8 or float in [0, 1], in any of the forms of
    `batches.as_batch`: `model.compile()`, `model.fit(dataset)`.

    Metrics, each a mean over images: `total_loss` = `reco_loss` + `kl_loss` in the
    training convention of `likelihoods`; `kl` in nats per image; `elbo` in nats per
    image at beta = 1 (none for `mse`); `radius`, the mean of |z_mean|; `z_log_var`,
    its mean over images and dimensions. With `divergence=mmd` there is `mmd_loss` in
    the place of `kl_loss`, and `mmd`, which is of what is computed together: a batch,
    or its part where it is in several (`exchange`, replicas).

    Attributes:
        step: int64 [], train steps done. It seeds the latent noise; it counts what
            the optimizer doesn't (skipped or accumulated steps).
        calls: int64 [], batches predicted so far. It seeds their latent noise.
        epsilon_scale: float32 [], factor of the noise when predicting; may be
            assigned at any time (0: reconstruct from z_mean).
        exchange: Which parts of a batch this process computes.
        guard: Keeps train steps that aren't finite out of everything, and counts
            them.

    Args:
        config: The model.
        seed: Seed of the latent noise.
        dtype: Precision policy of the maps, such as `float32` or `mixed_bfloat16`.
        encoder: A network in the place of the configuration's, see `own_networks`;
            its precision is its own.
        decoder: The same.

    Raises:
        UserError: A network in the place of the configuration's doesn't fit it.
    """

    def __init__(
        self,
        config: config_lib.ModelConfig,
        seed: int = 1,
        dtype: str = "float32",
        *,
        encoder: keras.Model | None = None,
        decoder: keras.Model | None = None,
        **kwargs,
    ):
        super().__init__(dtype=dtype, **kwargs)
        self.config = config
        self.seed = seed
        self.own = {"encoder": encoder is not None, "decoder": decoder is not None}
        if encoder is not None:
            own_networks.check_encoder(encoder, config)
        if decoder is not None:
            own_networks.check_decoder(decoder, config)
        self.encoder = encoder or networks.encoder(config, self.dtype_policy)
        self.decoder = decoder or networks.decoder(config, self.dtype_policy)
        self.sampling = layers.Sampling(config.epsilon_limit, name="sampling")
        self.step = self._scalar("step", "int64", 0)
        self.calls = self._scalar("calls", "int64", 0)
        self.epsilon_scale = self._scalar("epsilon_scale", "float32", 1)
        if config.likelihood.learns_variance:
            self.log_sigma = self._scalar("log_sigma", "float32", 0, trainable=True)
        elif config.likelihood.has_variance:
            self.average_variance = self._scalar("variance", "float32", 1)
        self.guard = guard.Guard()
        self.exchange = exchange_lib.ALONE
        self.means = {
            name: keras.metrics.Mean(name, dtype="float32")
            for name in self._metric_names()
        }
        self.built = True

    def _scalar(self, name: str, dtype: str, value: int, trainable: bool = False):
        return self.add_weight(
            name=name,
            dtype=dtype,
            initializer=keras.initializers.Constant(value),
            trainable=trainable,
            autocast=False,
            aggregation="only_first_replica",
        )

    def _metric_names(self) -> list[str]:
        names = ["total_loss", "reco_loss"]
        if self.config.divergence == config_lib.MMD:
            names += ["mmd_loss", "mmd"]
            names += ["kl"] if self.config.is_vae else []
            names += ["elbo"] if self.config.has_elbo else []
        else:
            names += ["kl_loss", "kl"]
            names += ["elbo"] if self.config.likelihood.has_nats else []
        return [*names, "radius", *(["z_log_var"] if self.config.is_vae else [])]

    def compile(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adam",
        *,
        jit_compile: bool | str = "auto",
        **kwargs: object,
    ) -> None:
        """Prepare training, as Keras does; the loss is the model's own.

        Args:
            optimizer: A Keras optimizer or its name.
            jit_compile: Whether XLA compiles the steps; `auto`: where TensorFlow uses
                a GPU or TPU.
            **kwargs: What Keras takes beside, such as `steps_per_execution`.

        Raises:
            UserError: A loss or metrics are given.
        """
        given = [n for n in ("loss", "metrics") if kwargs.get(n) is not None]
        if given:
            raise files.UserError(
                f"Expected compile without {given[0]}: a VAE computes its loss and its "
                "metrics itself, by its configuration. Leave it out."
            )
        if jit_compile == "auto":
            jit_compile = bool(accelerators.visible())
        super().compile(optimizer, jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config: dict) -> None:
        """Compile as a saved model was."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def build(self, input_shape=None) -> None:
        """Do nothing: encoder and decoder are built with the model."""

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Reconstruct images, with noise scaled by `epsilon_scale`.

        Args:
            images: uint8 [B, H, W, C], or float in [0, 1].
            training: Whether batch norm and dropout act as in training.

        Returns:
            float32 [B, H, W, C] in [0, 1].
        """
        posterior = self.encoder(scale_images(images), training=training)
        noise = self.noise_seed(steps.PREDICTION, self.calls)
        self.calls.assign_add(1)
        z = self.sample(posterior, noise, self.epsilon_scale)
        return self.decode(z, training)

    def decode(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Decode latent points, float32 [B, z_dim], to images.

        Returns:
            float32 [B, H, W, C] in [0, 1].
        """
        return networks.to_images(self.decoder(z, training=training))

    def sample(
        self, posterior: dict[str, tf.Tensor], seed: tf.Tensor, epsilon_scale=1.0
    ) -> tf.Tensor:
        """Draw z float32 [B, z_dim] from a posterior; an autoencoder's is a point."""
        if not self.config.is_vae:
            return posterior["z_mean"]
        return self.sampling(
            posterior["z_mean"],
            posterior["z_log_var"],
            seed,
            epsilon_scale=epsilon_scale,
        )

    def noise_seed(
        self, stream: int, position: tf.Tensor, part: int | None = None
    ) -> tf.Tensor:
        """Make a seed, int64 [2], of (seed, stream, position, part of the batch).

        They are packed, not hashed: TensorFlow's `stateless_fold_in` of large seeds
        gives other numbers under XLA.

        Args:
            stream: Which of the independent streams.
            position: int [], of the batch.
            part: Of the batch; None: the number of the replica that computes it.
        """
        replica = part
        if part is None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        stream_seed = tf.constant((self.seed * _NUM_STREAMS + stream) % 2**63, tf.int64)
        place = tf.cast(position, tf.int64) * _MAX_REPLICAS
        return tf.stack([stream_seed, place + tf.cast(replica, tf.int64)])

    def losses(
        self,
        batch: dict[str, tf.Tensor],
        seed: tf.Tensor,
        fact: tf.Tensor | float,
        training: bool,
    ) -> dict[str, tf.Tensor]:
        """Compute every metric of a batch.

        Args:
            batch: `image` and, where it is corrupted, `target`, [B, H, W, C].
            seed: int64 [2], of the latent noise.
            fact: Weight of the divergence.
            training: Whether batch norm and dropout act as in training.

        Returns:
            Metric name to float32 [], the mean over the batch.
        """
        targets = batch.get("target", batch["image"])
        posterior = self.encoder(scale_images(batch["image"]), training=training)
        z = self.sample(posterior, seed)
        logits = self.decoder(z, training=training)
        nats = likelihoods.reconstruction_nats(
            self.config,
            logits,
            targets,
            lambda error: self._reconstruction_variance(error, training),
        )
        nats = tf.reduce_mean(nats)
        kl, charged = self._kl(posterior)
        if self.config.divergence == config_lib.MMD:
            charged = self._mmd(z, seed)
        values = {
            "reco_loss": nats * likelihoods.training_scale(self.config),
            f"{self.config.divergence}_loss": fact * charged,
            "mmd": charged,
            "kl": kl,
            "elbo": -(nats + kl),
            "radius": tf.reduce_mean(tf.norm(posterior["z_mean"], axis=-1)),
        }
        values["total_loss"] = values["reco_loss"] + fact * charged
        if self.config.is_vae:
            values["z_log_var"] = tf.reduce_mean(posterior["z_log_var"])
        return {name: values[name] for name in self.means}

    def _kl(self, posterior: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the KL in nats per image, and what the loss charges for."""
        if not self.config.is_vae:
            return tf.constant(0.0), tf.constant(0.0)
        kl = ops.diagonal_gaussian_kl(posterior["z_mean"], posterior["z_log_var"])
        total = tf.reduce_mean(tf.reduce_sum(kl, axis=-1))
        return total, kl_lib.charged_kl(self.config, kl)

    def _mmd(self, z: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return the squared discrepancy of z from as many points of the prior."""
        prior = ops.limited_normal(tf.shape(z), seed + tf.constant(_PRIOR, tf.int64), 0)
        return discrepancy.squared_mmd(z, prior)

    @property
    def variance(self) -> tf.Tensor:
        """Variance sigma^2 of a likelihood that has one, float32 []."""
        if self.config.likelihood.learns_variance:
            return tf.exp(2.0 * tf.convert_to_tensor(self.log_sigma))
        return tf.convert_to_tensor(self.average_variance)

    def _reconstruction_variance(self, error: tf.Tensor, training: bool) -> tf.Tensor:
        """Return sigma^2, if the likelihood has one: learned, or the optimum.

        Args:
            error: float32 [B], squared error summed over each image.
            training: Whether the optimum is taken, and goes into its average; else
                that is taken.

        Returns:
            float32 [].
        """
        if not training or self.config.likelihood.learns_variance:
            return self.variance
        optimum = tf.reduce_mean(error) / likelihoods.num_elements(self.config)
        # The gradient through the optimum vanishes, so it is not computed.
        optimum = tf.stop_gradient(tf.maximum(optimum, 1e-8))
        # Early on the average is over all batches so far, not dragged by its start.
        done = tf.cast(self.step, tf.float32)
        momentum = tf.minimum(done / (done + 1.0), _VARIANCE_MOMENTUM)
        average = self.average_variance
        average.assign(momentum * average + (1.0 - momentum) * optimum)
        return optimum

    def train_step(self, batch: batches.Batch) -> dict[str, tf.Tensor]:
        """Take one optimizer step; return the metrics of the epoch so far.

        A step whose numbers aren't finite changes nothing but `step` and the guard.
        """
        batch = batches.as_batch(batch, self.config.image_shape)
        sums = steps.local_sums(self, batch)
        size = tf.shape(batch["image"])[0] * self.exchange.workers
        return steps.settle(self, sums, self.exchange.over_workers(sums.total), size)

    def evaluate(self, *args, **kwargs):
        """Measure as Keras does, with the averaged weights where there are any."""
        with adam.averaged(self):
            return super().evaluate(*args, **kwargs)

    def test_step(self, batch: batches.Batch) -> dict[str, tf.Tensor]:
        """Measure one batch with the final fact; return the metrics so far."""
        batch = batches.as_batch(batch, self.config.image_shape)
        # Noise by position: the number of images seen since the metrics' reset.
        seed = self.noise_seed(steps.VALIDATION, self.means["total_loss"].count)
        losses = self.losses(batch, seed, self.config.fact, training=False)
        return self.update_metrics(losses, tf.shape(batch["image"])[0])

    def predict_step(self, batch: batches.Batch) -> tf.Tensor:
        """Reconstruct one batch."""
        return self(batches.as_batch(batch, self.config.image_shape)["image"])

    def update_metrics(
        self,
        losses: dict[str, tf.Tensor],
        size: tf.Tensor,
        bad: tf.Tensor | bool = False,
    ) -> dict[str, tf.Tensor]:
        """Add a batch of so many images; return the metrics so far.

        Args:
            losses: What `losses` gave.
            size: int or float32 [], images of the batch.
            bad: bool [], whether the batch is left out.
        """
        size = tf.cast(size, tf.float32)
        # What isn't finite has no weight, and no value that would outlast it.
        size = tf.where(bad, 0.0, size)
        values = tf.stack([losses[name] for name in self.means])
        values = tf.unstack(tf.where(bad, 0.0, values))
        for mean, value in zip(self.means.values(), values, strict=True):
            mean.update_state(value, sample_weight=size)
        return {name: mean.result() for name, mean in self.means.items()}

    def with_precision(self, dtype: str) -> "VAE":
        """Return a copy in another precision, with the same weights.

        Networks that aren't the configuration's keep the precision they have.
        """
        copies = {n: own_networks.copy(v) for n, v in self._own_networks().items()}
        copy = VAE(self.config, self.seed, dtype, **copies)
        copy.set_weights(self.get_weights())
        return copy

    def _own_networks(self) -> dict[str, keras.Model]:
        """Return the networks that aren't the configuration's, by name."""
        return {name: getattr(self, name) for name, own in self.own.items() if own}

    def get_config(self) -> dict:
        """Return what `from_config` rebuilds the model from."""
        own = self._own_networks()
        serialize = keras.saving.serialize_keras_object
        return {name: serialize(network) for name, network in own.items()} | {
            "config": attrs.asdict(self.config),
            "seed": self.seed,
            "dtype": self.dtype_policy.name,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> "VAE":
        """Rebuild a model from its `get_config`."""
        model = config_lib.ModelConfig(**config["config"])
        own = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("encoder", "decoder")
            if name in config
        }
        return cls(model, config["seed"], config["dtype"], name=config["name"], **own)
