import io

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from vae_prod.latent import sampling, second_stage_training
from vae_prod.model import codec
from vae_prod.reporting import image_grids
from vae_prod.serving import functions as functions_lib
from vae_prod.serving import replay, signatures

_SAMPLED = {
    "seed": np.array([3, 4, 3], np.int64),
    "temperature": np.ones(3, np.float32),
    "sampler": np.array([b"prior", b"gaussian", b"prior"]),
}


def _images(count=3, seed=0):
    shape = (count, *tiny_exports.SHAPE)
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


class SignaturesTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model, cls.extras = tiny.model(), tiny_exports.extras()
        cls.codec = codec.from_model(cls.model)
        cls.traced = signatures.build(functions_lib.Functions(cls.model, cls.extras))

    def ask(self, name, **inputs):
        return replay.ask(self.traced[name], inputs)

    def test_each_with_and_without_files(self):
        takes = ("encode", "reconstruct", "interpolate", "edit")
        gives = ("decode", "reconstruct", "generate", "interpolate", "edit")
        names = {"encode", *gives}
        names |= {f"{name}_jpeg" for name in takes}
        names |= {f"{name}_png" for name in gives}
        names |= {f"{name}_jpeg_png" for name in set(takes) & set(gives)}
        self.assertCountEqual(self.traced, names)

    def test_no_vectors_no_edit(self):
        extras = tiny_exports.extras(vectors={})
        functions = functions_lib.Functions(self.model, extras)
        names = {n.split("_")[0] for n in signatures.build(functions)}
        self.assertNotIn("edit", names)

    def test_encode_decode_reconstruct(self):
        images = _images()
        encoded = self.codec.encode(images)
        self.assertAllClose(self.ask("encode", image=images), encoded)
        expected = self.codec.decode(encoded["z_mean"])
        decoded = self.ask("decode", z=encoded["z_mean"])
        self.assertAllClose(decoded["image"], expected)
        rebuilt = self.ask("reconstruct", image=images)
        self.assertAllClose(rebuilt["image"], expected)

    def test_generate_is_the_other_programs(self):
        images = self.ask("generate", **_SAMPLED)["image"]
        prior = sampling.prior(_SAMPLED["seed"], 3)
        fitted = self.extras.samplers["gaussian"].sample(_SAMPLED["seed"])
        z = np.stack([prior[0], fitted[1], prior[2]])
        self.assertAllClose(images, self.codec.decode(z))
        self.assertAllEqual(images[0], images[2])
        self.assertNotAllClose(images[0], images[1])

    def test_generate_draws_a_second_stage(self):
        points = np.random.default_rng(0).normal(2.0, 0.5, (64, 3))
        fitted = second_stage_training.fit(points, units=4, layers=2, epochs=1)
        extras = tiny_exports.extras(samplers={"two_stage": fitted})
        functions = functions_lib.Functions(self.model, extras)
        sampler = np.array([b"two_stage"] * 3)
        images = functions.generate(
            _SAMPLED["seed"], _SAMPLED["temperature"], tf.constant(sampler)
        )["image"]
        z = fitted.sample(_SAMPLED["seed"]).numpy()
        self.assertAllClose(images, self.codec.decode(z), atol=1e-6)

    def test_temperature(self):
        inputs = {**_SAMPLED, "temperature": np.array([0, 0, 0.5], np.float32)}
        images = self.ask("generate", **inputs)["image"]
        prior = 0.5 * sampling.prior([3], 3).numpy()
        mean = self.extras.samplers["gaussian"].means
        z = np.concatenate([np.zeros((1, 3)), mean, prior])
        self.assertAllClose(images, self.codec.decode(z))

    def test_rows_are_worked_on_by_themselves(self):
        whole = self.ask("generate", **_SAMPLED)["image"]
        for row in range(3):
            alone = {name: array[row : row + 1] for name, array in _SAMPLED.items()}
            # Of the same z, which is exact; kernels round by the size of a batch.
            self.assertAllClose(
                self.ask("generate", **alone)["image"][0], whole[row], atol=1e-6
            )

    def test_interpolate(self):
        start, end = _images(), _images(seed=1)
        weight = np.array([0, 0.25, 1], np.float32)
        first, last = (self.codec.encode(x)["z_mean"] for x in (start, end))
        z = first * (1 - weight[:, None]) + last * weight[:, None]
        got = self.ask("interpolate", start=start, end=end, weight=weight)
        self.assertAllClose(got["image"], self.codec.decode(z))

    def test_edit(self):
        images, names = _images(), np.array([b"Young", b"Smiling", b"Young"])
        strength = np.array([1, -2, 0], np.float32)
        vectors = np.stack([self.extras.vectors[name.decode()] for name in names])
        z = self.codec.encode(images)["z_mean"] + strength[:, None] * vectors
        got = self.ask("edit", image=images, attribute=names, strength=strength)
        self.assertAllClose(got["image"], self.codec.decode(z))

    def test_files_in_and_out(self):
        levels = image_grids.to_uint8(_images(2))
        files = []
        for image in levels:
            buffer = io.BytesIO()
            Image.fromarray(image).save(buffer, "PNG")
            files.append(buffer.getvalue())
        images = levels.astype(np.float32) / 255
        expected = self.ask("reconstruct", image=images)["image"]
        got = self.ask("reconstruct_jpeg", image_bytes=files)["image"]
        self.assertAllClose(got, expected)
        got = self.ask("reconstruct_jpeg_png", image_bytes=files)["image_bytes"]
        decoded = np.stack([tf.io.decode_png(file) for file in got])
        self.assertAllEqual(decoded, image_grids.to_uint8(expected))

    def test_what_is_refused_names_its_input(self):
        # Every kind of wrong request there is, and each input of each signature.
        inputs = {
            **{"image": _images(), "start": _images(), "end": _images()},
            **{"z": np.zeros((3, 3), np.float32), "weight": np.ones(3, np.float32)},
            **_SAMPLED,
            "attribute": np.array([b"Young", b"Smiling", b"Young"]),
            "strength": np.ones(3, np.float32),
        }
        for name in ("decode", "generate", "interpolate", "edit"):
            function = self.traced[name]
            given = {i: inputs[i] for i in function.structured_input_signature[1]}
            told = replay.refusals(function, given)
            self.assertGreater(len(told), len(given))
            for what, refused, said in told:
                self.assertTrue(refused, f"{name}, {what}: {said}")
            replay.ask(function, given)

    @parameterized.named_parameters(
        ("above_one", "encode", {"image": _images() * 255}, r"image.*\[0, 1\]"),
        ("too_many", "decode", {"z": np.zeros((65, 3), "f4")}, "1 to 64 rows, got.*65"),
        (
            "unlike_rows",
            "generate",
            {**_SAMPLED, "temperature": np.ones(2, np.float32)},
            "temperature: expected as many rows as seed, got.*2.*and.*3",
        ),
        (
            "below_zero",
            "generate",
            {**_SAMPLED, "temperature": -np.ones(3, np.float32)},
            "temperature: expected finite numbers of at least 0",
        ),
        (
            "unknown",
            "generate",
            {**_SAMPLED, "sampler": np.array([b"prior", b"no", b"prior"])},
            "sampler: expected one of prior, gaussian; got.*no",
        ),
    )
    def test_refused(self, name, inputs, sentence):
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, sentence):
            self.ask(name, **inputs)

    def test_meanings_are_complete(self):
        for name, function in self.traced.items():
            self.assertIn(name.split("_")[0], signatures.MEANINGS)
            for tensors in (
                function.structured_input_signature[1],
                function.structured_outputs,
            ):
                self.assertContainsSubset(tensors, signatures.MEANINGS)


class AutoencoderTest(tf.test.TestCase):
    def test_has_no_variance(self):
        model = tiny.model(mode="ae")
        functions = functions_lib.Functions(model, tiny_exports.extras())
        encoded = functions.encode(tf.constant(_images()))
        self.assertCountEqual(encoded, ["z_mean"])


if __name__ == "__main__":
    tf.test.main()
