import os

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from tensorflow.python.eager import context

from tests.vae_prod import tiny
from vae_prod.model import vae as vae_lib
from vae_prod.model.kernels import discrepancy, ops

_DECODERS = (
    {"decoder": "conv2d_transpose"},
    {"decoder": "upsampling", "upsampling": "nearest"},
    {"decoder": "upsampling", "upsampling": "bilinear"},
)


def _nodes(function, *arguments) -> list:
    """Call a tf.function; return the nodes of its graphs as TensorFlow ran them."""
    context.enable_graph_collection()
    try:
        function(*arguments)
        graphs = context.export_run_metadata().function_graphs
    finally:
        context.disable_graph_collection()
    graphs = [graph.post_optimization_graph for graph in graphs]
    nodes = [node for graph in graphs for node in graph.node]
    functions = [f for graph in graphs for f in graph.library.function]
    return nodes + [node for f in functions for node in f.node_def]


class TrainingTest(tf.test.TestCase, parameterized.TestCase):
    # Compiling takes long: every decoder and every precision, not each with each.
    @parameterized.parameters(
        *((d, dtype, False) for d, dtype in zip(_DECODERS, tiny.POLICIES, strict=True)),
        *((d, tiny.POLICIES[2], False) for d in _DECODERS[:2]),
        (_DECODERS[0], "mixed_bfloat16", True),
        (_DECODERS[1], "mixed_float16", True),
    )
    def test_every_cell_trains(self, decoder, dtype, jit):
        model = tiny.model(dtype, jit, **decoder)
        self.assertEqual(model.jit_compile, jit)
        history = model.fit(tiny.batches(), validation_data=tiny.batches(), verbose=0)
        for name, values in history.history.items():
            self.assertTrue(np.all(np.isfinite(values)), name)
        self.assertEqual(model.step.numpy(), 2)

    @parameterized.parameters(
        ("vae", "float32", False),
        ("ae", "mixed_float16", False),
        ("ae", "mixed_bfloat16", True),
    )
    def test_discrepancy_brings_z_to_the_prior(self, mode, dtype, jit):
        settings = {"mode": mode, "divergence": "mmd", "fact": 1000.0}
        model = tiny.model(dtype, jit, **settings)
        images = tf.data.Dataset.from_tensors({"image": tiny.images(32)}).repeat()
        fit = {"epochs": 3, "steps_per_epoch": 20, "verbose": 0}
        history = model.fit(images, **fit).history
        self.assertEqual("z_log_var" in history, mode == "vae")
        self.assertNotIn("kl_loss", history)
        self.assertLess(history["mmd"][-1], 0.5 * history["mmd"][0])
        self.assertAllClose(
            history["mmd_loss"], 1000 * np.array(history["mmd"]), rtol=1e-4
        )

    def test_a_learned_variance_becomes_that_of_the_errors(self):
        settings = {"reconstruction": "gaussian_learned", "fact": 0.0}
        model = tiny.model(learning_rate=0.05, **settings)
        self.assertAllClose(model.variance, 1.0)
        data = tiny.batches(1).repeat()
        model.fit(data, epochs=1, steps_per_epoch=200, verbose=0)
        images = tiny.images()
        batch = {"image": tf.constant(images)}
        seed = model.noise_seed(0, model.step)
        x = vae_lib.scale_images(batch["image"])
        z = model.sample(model.encoder(x, training=True), seed)
        error = np.mean((model.decode(z, training=True) - x) ** 2)
        self.assertAllClose(model.variance, error, rtol=0.1)
        # So each element costs what it does at the optimum.
        nats = model.losses(batch, seed, 0.0, training=True)["reco_loss"] * 3
        optimum = 96 * (np.log(2 * np.pi * error) + 1)
        self.assertAllClose(nats, optimum, rtol=0.01)

    def test_loss_of_an_autoencoder_falls(self):
        model = tiny.model(mode="ae")
        data = tiny.batches(1).repeat()
        history = model.fit(data, epochs=2, steps_per_epoch=30, verbose=0).history
        first, second = history["total_loss"]
        self.assertLess(second, first)

    def test_jit_takes_the_same_step(self):
        weights = []
        for jit in (False, True):
            model = tiny.model(jit=jit, **_DECODERS[2])
            # Adam would turn the rounding of a vanishing gradient into a whole step.
            model.compile(keras.optimizers.SGD(1e-4), jit_compile=jit)
            self.assertEqual(model.jit_compile, jit)
            model.fit(tiny.batches(), verbose=0)
            weights.append(model.get_weights())
        for plain, compiled in zip(*weights, strict=True):
            self.assertAllClose(plain, compiled, atol=1e-6)

    @parameterized.parameters("mixed_bfloat16", "mixed_float16")
    def test_gradients_are_scaled_right(self, dtype):
        steps = []
        for policy in ("float32", dtype):
            model = tiny.model(policy, batch_norm=False)
            model.compile(keras.optimizers.SGD(1e-4), jit_compile=False)
            before = model.decoder.get_layer("dense").kernel.numpy()
            model.fit(tiny.batches(), verbose=0)
            steps.append(model.decoder.get_layer("dense").kernel.numpy() - before)
        # An unscaled loss would give steps 32,768 times off; low precision gives a
        # few per cent.
        ratio = np.linalg.norm(steps[1]) / np.linalg.norm(steps[0])
        self.assertAllClose(ratio, 1.0, atol=0.1)

    def test_same_seed_same_weights(self):
        runs = []
        for _ in range(2):
            model = tiny.model(dropout=0.2)
            model.fit(tiny.batches(), verbose=0)
            runs.append(model.get_weights())
        for first, second in zip(*runs, strict=True):
            self.assertAllEqual(first, second)

    @parameterized.parameters(
        {"reconstruction": "bce"},
        {"reconstruction": "mse"},
        {"reconstruction": "gaussian_sigma", "free_bits": 0.1},
        {"reconstruction": "gaussian_learned", "divergence": "mmd"},
        {"reconstruction": "continuous_bernoulli"},
        {"mode": "ae", "divergence": "mmd"},
        {
            "blocks": "residual",
            "decoder": "upsampling",
            "decoder_output": "extra_conv",
            "activation": "gelu",
            "encoder_dense": 5,
            "dropout": 0.1,
        },
    )
    def test_nothing_is_added_in_an_order_that_varies(self, **settings):
        # AddN begins with whichever input's buffer it may overwrite. With two terms
        # that changes nothing; with more, the same seed gives other bits now and then.
        model = tiny.model(**settings)
        model.optimizer.build(model.trainable_variables)
        batch = {"image": tf.constant(tiny.images())}
        nodes = _nodes(tf.function(model.train_step), batch)
        self.assertIn("Conv2DBackpropFilter", {node.op for node in nodes})
        for node in nodes:
            if node.op == "AddN":
                terms = [name for name in node.input if not name.startswith("^")]
                self.assertLess(len(terms), 3, node.name)

    def test_replicas_train_as_one(self):
        strategy = tiny.mirrored()
        with strategy.scope():
            mirrored = tiny.model(mode="ae", batch_norm=False)
            mirrored.compile(keras.optimizers.SGD(1e-4), jit_compile=False)
        single = tiny.model(mode="ae", batch_norm=False)
        single.compile(keras.optimizers.SGD(1e-4), jit_compile=False)
        for model in (mirrored, single):
            model.fit(tiny.batches(), verbose=0)
        self.assertEqual(mirrored.step.numpy(), 2)
        for one, two in zip(single.weights, mirrored.weights, strict=True):
            self.assertAllClose(one.numpy(), two.numpy(), atol=1e-5)

    def test_replicas_draw_different_noise(self):
        strategy = tiny.mirrored()
        with strategy.scope():
            model = tiny.model()
        seeds = strategy.run(lambda: model.noise_seed(0, tf.constant(3, tf.int64)))
        first, second = strategy.experimental_local_results(seeds)
        self.assertNotAllEqual(first, second)


class MetricsTest(tf.test.TestCase, parameterized.TestCase):
    def test_total_is_the_sum_and_kl_loss_includes_fact(self):
        model = tiny.model(fact=5.0)
        values = model.evaluate(tiny.batches(), verbose=0, return_dict=True)
        self.assertAllClose(values["kl_loss"], 5.0 * values["kl"], rtol=1e-5)
        total = values["reco_loss"] + values["kl_loss"]
        self.assertAllClose(values["total_loss"], total, rtol=1e-6)
        nats = 3 * values["reco_loss"] + values["kl"]
        self.assertAllClose(values["elbo"], -nats, rtol=1e-6)

    def test_against_numpy(self):
        model = tiny.model(mode="ae", batch_norm=False)
        images = tiny.images() / np.float32(255)
        z = model.encoder(images)["z_mean"]
        logits = model.decoder(z).numpy().astype(np.float64)
        bce = np.logaddexp(0, logits) - logits * images
        values = model.evaluate(tiny.batches(1), verbose=0, return_dict=True)
        expected = bce.mean(-1).sum((1, 2)).mean()
        self.assertAllClose(values["reco_loss"], expected, rtol=1e-5)
        self.assertAllClose(values["total_loss"], expected, rtol=1e-5)
        radius = np.linalg.norm(z, axis=-1).mean()
        self.assertAllClose(values["radius"], radius, rtol=1e-5)
        self.assertEqual(values["kl"], 0.0)

    def test_a_smaller_last_batch_counts_by_its_images(self):
        model = tiny.model(mode="ae")
        data = tf.data.Dataset.from_tensor_slices({"image": tiny.images(5)})
        parts, whole = (
            model.evaluate(data.batch(size), verbose=0, return_dict=True)
            for size in (4, 5)
        )
        for name, value in whole.items():
            self.assertAllClose(parts[name], value, rtol=1e-5)

    def test_validation_uses_the_final_fact_and_the_same_noise(self):
        model = tiny.model(fact_schedule="linear", fact_warmup_steps=1000)
        first, second = (
            model.evaluate(tiny.batches(), verbose=0, return_dict=True)
            for _ in range(2)
        )
        self.assertEqual(first, second)
        self.assertAllClose(first["kl_loss"], 5.0 * first["kl"], rtol=1e-5)

    @parameterized.parameters("vae", "ae")
    def test_discrepancy_is_of_z_and_of_as_many_points_of_the_prior(self, mode):
        model = tiny.model(mode=mode, divergence="mmd", fact=2.0, batch_norm=False)
        batch = {"image": tf.constant(tiny.images())}
        seed = model.noise_seed(1, tf.constant(3, tf.int64))
        values = model.losses(batch, seed, 2.0, training=False)
        z = model.sample(model.encoder(vae_lib.scale_images(batch["image"])), seed)
        beside = seed + tf.constant([2**62, 0], tf.int64)
        prior = ops.limited_normal(z.shape, beside, 0.0)
        self.assertAllClose(values["mmd"], discrepancy.squared_mmd(z, prior))
        total = values["reco_loss"] + 2.0 * values["mmd"]
        self.assertAllClose(values["total_loss"], total)
        self.assertEqual("elbo" in values, mode == "vae")

    def test_no_elbo_without_a_likelihood(self):
        self.assertNotIn("elbo", tiny.model(reconstruction="mse").means)

    def test_target_is_what_is_reconstructed(self):
        model = tiny.model(mode="ae")
        clean, other = tiny.images(), tiny.images(seed=1)
        data = tf.data.Dataset.from_tensors({"image": clean, "target": other})
        values = model.evaluate(data, verbose=0, return_dict=True)
        logits = model.decoder(model.encoder(clean / np.float32(255))["z_mean"])
        logits, x = logits.numpy(), other / np.float32(255)
        bce = np.logaddexp(0, logits) - logits * x
        self.assertAllClose(
            values["reco_loss"], bce.mean(-1).sum((1, 2)).mean(), rtol=1e-5
        )


class PredictionTest(tf.test.TestCase):
    def test_epsilon_scale_changes_without_rebuilding(self):
        model = tiny.model()
        images = tiny.images()
        noisy = [model.predict(images, verbose=0) for _ in range(2)]
        self.assertNotAllClose(*noisy)
        model.epsilon_scale.assign(0.0)
        means = [model.predict(images, verbose=0) for _ in range(2)]
        self.assertAllEqual(*means)
        z = model.encoder(vae_lib.scale_images(tf.constant(images)))["z_mean"]
        self.assertAllClose(means[0], tf.sigmoid(model.decoder(z)), atol=1e-6)

    def test_predicts_from_dicts_as_from_images(self):
        model = tiny.model()
        model.epsilon_scale.assign(0.0)
        images = model.predict(tiny.batches(), verbose=0)
        self.assertAllEqual(images.shape, [8, 8, 8, 3])


class SerializationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        {"reconstruction": "gaussian_sigma"},
        {"reconstruction": "gaussian_learned"},
        {"mode": "ae", "blocks": "residual"},
    )
    def test_saved_model_goes_on_training(self, **settings):
        model = tiny.model(**settings)
        model.fit(tiny.batches(), verbose=0)
        path = os.path.join(self.get_temp_dir(), "model.keras")
        model.save(path)
        copy = keras.models.load_model(path)
        self.assertEqual(copy.get_config(), model.get_config())
        for one, two in zip(model.weights, copy.weights, strict=True):
            self.assertAllEqual(one, two)
        self.assertEqual(copy.optimizer.iterations.numpy(), 2)
        histories = [m.fit(tiny.batches(), verbose=0).history for m in (model, copy)]
        self.assertAllClose(*histories)

    def test_parts_are_saved_alone(self):
        model, other = tiny.model(), tiny.model(z_dim=3)
        model.fit(tiny.batches(), verbose=0)
        path = os.path.join(self.get_temp_dir(), "decoder.weights.h5")
        model.decoder.save_weights(path)
        other.decoder.load_weights(path)
        z = tf.random.stateless_normal([2, 3], [1, 2])
        self.assertAllEqual(model.decoder(z), other.decoder(z))

    def test_with_precision_keeps_the_weights(self):
        model = tiny.model("mixed_bfloat16")
        copy = model.with_precision("float32")
        self.assertEqual(copy.decoder(tf.zeros([1, 3])).dtype, tf.float32)
        for one, two in zip(model.weights, copy.weights, strict=True):
            self.assertAllEqual(one, two)


class ScaleImagesTest(tf.test.TestCase):
    def test_scales_integers_alone(self):
        scaled = vae_lib.scale_images(tf.constant([0, 51, 255], tf.uint8))
        self.assertAllClose(scaled, [0.0, 0.2, 1.0])
        self.assertAllEqual(vae_lib.scale_images(tf.constant([0.25])), [0.25])


if __name__ == "__main__":
    tf.test.main()
