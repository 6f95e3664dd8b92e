"""Every kind of model in every format, beside Keras' own layers, one by one."""

import json
import os
import subprocess
import sys
import textwrap
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files as files_lib
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from vae_prod.serving import formats, onnx_format, tflite_format

_FORMATS = (tflite_format, onnx_format)
_MODELS = {
    "reference": {},
    "autoencoder": {"mode": "ae", "activation": "relu"},
    "upsampling": {"decoder": "upsampling", "kernel_sizes": (4,), "activation": "elu"},
    "residual": {"blocks": "residual"},
    "residual_silu": {"blocks": "residual", "activation": "silu", "batch_norm": False},
    "bilinear": {
        "blocks": "residual",
        "decoder": "upsampling",
        "upsampling": "bilinear",
        "activation": "selu",
    },
    "group_norm": {"group_norm": 2, "activation": "gelu"},
    "grey": {
        "image_shape": (9, 9, 1),
        "strides": (3, 1),
        "decoder_output": "extra_conv",
        "encoder_dense": 5,
        "activation": "tanh",
        "dropout": 0.1,
    },
}
# Sums of a few hundred terms of size 1 in another order; a wrong kernel, slope or
# statistic makes hundreds of times as much.
_ROUNDING = 1e-5
# Of weights of size 1: half a step of 8 bits, and of 11 bits, through a few layers.
_QUANTISED = {"dynamic": 0.1, "float16": 5e-3}

_STRANGER = textwrap.dedent(
    """
    import sys

    for name in ("tensorflow", "keras", "vae_prod"):
        sys.modules[name] = None  # As if it were not installed.
    import numpy as np
    import onnxruntime

    inputs = np.load(sys.argv[2])
    results = {}
    for network in ("encoder", "decoder"):
        session = onnxruntime.InferenceSession(f"{sys.argv[1]}/{network}.onnx")
        (given,) = session.get_inputs()
        names = [output.name for output in session.get_outputs()]
        found = session.run(names, {given.name: inputs[given.name]})
        results.update(zip(names, found))
    np.savez(sys.argv[3], **results)
    """
)


def _model(**changes):
    """Return a model whose weights and moving statistics are all different."""
    model = tiny.model(**changes)
    rng = np.random.default_rng(0)
    for variable in (*model.encoder.variables, *model.decoder.variables):
        if variable.dtype == "float32":
            noise = rng.normal(0.0, 0.2, variable.shape).astype(np.float32)
            positive = variable.name == "moving_variance"
            variable.assign(variable + (np.abs(noise) if positive else noise))
    return model


def _inputs(config):
    rng = np.random.default_rng(1)
    image = rng.uniform(size=(3, *config.image_shape)).astype(np.float32)
    return image, rng.normal(size=(3, config.z_dim)).astype(np.float32)


def _expected(model, image, z):
    """Compute layer by layer, without graphs."""
    found = {
        name: x.numpy() for name, x in model.encoder(image, training=False).items()
    }
    return found | {"image": tf.sigmoid(model.decoder(z, training=False)).numpy()}


class FormatsTest(tf.test.TestCase, parameterized.TestCase):
    def _folder(self, *arguments):
        return tiny_exports.write_converted(self.create_tempdir().full_path, *arguments)

    @parameterized.product(kind=_FORMATS, model=tuple(_MODELS))
    def test_computes_what_the_model_does(self, kind, model):
        model = _model(**_MODELS[model])
        opened = kind.open_codec(self._folder(kind, model), threads=1)
        self.assertEqual(opened.image_shape, model.config.image_shape)
        self.assertEqual(opened.z_dim, model.config.z_dim)
        image, z = _inputs(model.config)
        expected = _expected(model, image, z)
        for rows in (slice(3), slice(1)):
            found = opened.encode(image[rows]) | {"image": opened.decode(z[rows])}
            self.assertCountEqual(found, expected)
            for name, values in expected.items():
                self.assertGreater(np.ptp(values), 1e-3, name)  # It tells something.
                self.assertEqual(found[name].dtype, np.float32)
                self.assertAllClose(
                    found[name], values[rows], rtol=_ROUNDING, atol=_ROUNDING
                )

    @parameterized.parameters(*_QUANTISED)
    def test_smaller_variants(self, variant):
        # Large enough that TFLite quantises: it leaves small weights alone.
        model = _model(filters=(16, 32), z_dim=16)
        folder = self._folder(tflite_format, model, variant)
        opened = tflite_format.open_codec(folder, variant)
        image, z = _inputs(model.config)
        found = opened.encode(image) | {"image": opened.decode(z)}
        for name, values in _expected(model, image, z).items():
            self.assertEqual(found[name].dtype, np.float32)
            difference = np.abs(found[name] - values).max()
            self.assertLess(difference / np.ptp(values), _QUANTISED[variant], name)
            self.assertGreater(difference, 1e-6, name)
        for network in formats.NETWORKS:
            whole, part = (
                os.path.getsize(os.path.join(folder, name))
                for name in (
                    tflite_format.file_name(network),
                    tflite_format.file_name(network, variant),
                )
            )
            self.assertLess(part, 0.75 * whole)

    @parameterized.parameters(*_FORMATS)
    def test_takes_bytes_of_images_and_any_precision_of_training(self, kind):
        model = _model(dtype="mixed_bfloat16")
        opened = kind.open_codec(self._folder(kind, model))
        images = tiny.images(2)
        exact = model.with_precision("float32").encoder(images / np.float32(255))
        found = opened.encode(images)
        for name in ("z_mean", "z_log_var"):
            self.assertAllClose(found[name], exact[name], rtol=1e-5, atol=1e-5)

    def test_onnx_serves_where_tensorflow_is_missing(self):
        model = _model()
        folder = self._folder(onnx_format, model)
        image, z = _inputs(model.config)
        given, got = (os.path.join(folder, name) for name in ("i.npz", "o.npz"))
        np.savez(given, image=image, z=z)
        command = [sys.executable, "-c", _STRANGER, folder, given, got]
        subprocess.run(command, check=True, capture_output=True)
        expected = _expected(model, image, z)
        found = dict(np.load(got))
        self.assertCountEqual(found, expected)
        for name, values in expected.items():
            self.assertAllClose(found[name], values, rtol=_ROUNDING, atol=_ROUNDING)

    @parameterized.parameters(*_FORMATS)
    def test_names_and_the_free_batch(self, kind):
        files = kind.convert(_model())
        for name, data in files.items():
            given, wanted = (
                ("image", {"z_mean", "z_log_var"})
                if name.startswith("encoder")
                else ("z", {"image"})
            )
            with self.subTest(name):
                self.assertEqual(_boundary(name, data), (given, wanted))

    @parameterized.parameters(*_FORMATS)
    def test_converters_keep_quiet(self, kind):
        folder = self.create_tempdir().full_path
        kept, path = os.dup(2), os.path.join(folder, "stderr")
        with open(path, "wb") as file:
            os.dup2(file.fileno(), 2)
            try:
                image, _ = _inputs(tiny.config())
                written = tiny_exports.write_converted(folder, kind, _model())
                kind.open_codec(written).encode(image)
            finally:
                os.dup2(kept, 2)
                os.close(kept)
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"")

    @parameterized.parameters(*_FORMATS)
    def test_missing_and_damaged(self, kind):
        folder = self._folder(kind, _model())
        path = os.path.join(folder, kind.file_name("decoder"))
        data = b"nothing of the kind"
        files_lib.write(path, data)
        with self.assertRaisesRegex(files_lib.UserError, "/decoder.* isn't what was w"):
            kind.open_codec(folder)
        # With its digest it reaches the interpreter.
        digests = formats.digests({os.path.basename(path): data})
        verified = os.path.join(folder, formats.VERIFIED)
        with open(verified) as file:
            facts = json.load(file)
        facts[formats.FILES] |= digests
        files_lib.write(verified, json.dumps(facts))
        with self.assertRaisesRegex(files_lib.UserError, "/decoder.*can't be read"):
            kind.open_codec(folder)
        facts[formats.FILES].popitem()
        files_lib.write(verified, json.dumps(facts))
        with self.assertRaisesRegex(files_lib.UserError, "has no digest of it"):
            kind.open_codec(folder)
        os.remove(path)
        with self.assertRaisesRegex(files_lib.UserError, "/decoder.* it is missing"):
            kind.open_codec(folder)

    def test_reads_what_stands_beside(self):
        folder = self._folder(tflite_format, _model())
        opened = tflite_format.open_codec(folder)
        self.assertEqual(opened.weights_digest(), "of the weights")
        self.assertEqual(opened.variance, 0.5)
        for name in (formats.VERIFIED, formats.CONFIG):
            os.remove(os.path.join(folder, name))
            with self.assertRaisesRegex(
                files_lib.UserError, f"{name}, it can't be read"
            ):
                tflite_format.open_codec(folder)

    def test_says_what_onnx_needs(self):
        folder = self._folder(onnx_format, _model())
        for package, call in (
            ("tf2onnx", lambda: onnx_format.convert(_model())),
            ("onnxruntime", lambda: onnx_format.open_codec(folder)),
        ):
            expected = f"needs {package}.* pip install 'vae_prod\\[onnx\\]'"
            with (
                mock.patch.dict(sys.modules, {package: None}),
                self.assertRaisesRegex(files_lib.UserError, expected),
            ):
                call()


def _boundary(name, data):
    """Return a file's input and outputs; check that their first dimension is free."""
    if name.endswith(".onnx"):
        import onnx

        graph = onnx.load_from_string(data).graph
        for value in (*graph.input, *graph.output):
            assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
        return graph.input[0].name, {value.name for value in graph.output}
    with formats.quiet():
        signature = tf.lite.Interpreter(model_content=data).get_signature_runner()
    inputs, outputs = signature.get_input_details(), signature.get_output_details()
    for details in (*inputs.values(), *outputs.values()):
        assert details["shape_signature"][0] == -1
    return next(iter(inputs)), set(outputs)


if __name__ == "__main__":
    tf.test.main()
