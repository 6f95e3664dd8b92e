import os
import subprocess
import sys
import textwrap

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from vae_prod import codec, errors, export

_FOREIGN = textwrap.dedent(
    """
    import sys

    for name in ("keras", "vae_prod", "pipelines", "tools"):
        sys.modules[name] = None  # As if it were not installed.
    import numpy as np
    import tensorflow as tf

    model = tf.saved_model.load(sys.argv[1])
    inputs = np.load(sys.argv[2])
    results = {}
    for name, signature in model.signatures.items():
        given = signature.structured_input_signature[1]
        outputs = signature(**{key: tf.constant(inputs[key]) for key in given})
        for key, value in outputs.items():
            results[f"{name}/{key}"] = value.numpy()
    np.savez(sys.argv[3], **results)
    """
)


class ExportTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.create_tempdir().full_path

    def _export(self, model):
        path = export.next_version(self.directory)
        export.export(model, path, {"config.json": b"{}"})
        return path

    def test_serves_where_this_package_and_keras_are_missing(self):
        model = tiny.model("mixed_bfloat16")
        path = self._export(model)
        rng = np.random.default_rng(0)
        inputs = {
            "image": rng.uniform(size=(3, 8, 8, 3)).astype(np.float32),
            "z": rng.normal(size=(3, 3)).astype(np.float32),
            "seed": np.array([7, 8, 7], np.int64),
        }
        given, got = (os.path.join(self.directory, n) for n in ("i.npz", "o.npz"))
        np.savez(given, **inputs)
        subprocess.run(
            [sys.executable, "-c", _FOREIGN, path, given, got],
            check=True,
            capture_output=True,
        )
        results = np.load(got)
        self.assertCountEqual(
            results,
            [
                "serving_default/image",
                "reconstruct/image",
                "encode/z_mean",
                "encode/z_log_var",
                "decode/image",
                "generate/image",
            ],
        )
        here = codec.from_model(model.with_precision("float32"))
        encoded = here.encode(inputs["image"])
        self.assertAllClose(results["encode/z_mean"], encoded["z_mean"], atol=1e-5)
        self.assertAllClose(
            results["decode/image"], here.decode(inputs["z"]), atol=1e-5
        )
        self.assertAllClose(
            results["reconstruct/image"], here.decode(encoded["z_mean"]), atol=1e-5
        )
        self.assertAllEqual(
            results["serving_default/image"], results["reconstruct/image"]
        )
        generated = results["generate/image"]
        self.assertAllEqual(generated[0], generated[2])
        self.assertNotAllClose(generated[0], generated[1])
        for name in results:
            self.assertEqual(results[name].dtype, np.float32, name)

    @parameterized.parameters("vae", "ae")
    def test_signatures_take_any_batch(self, mode):
        model = tf.saved_model.load(self._export(tiny.model(mode=mode)))
        for batch in (1, 7):
            decoded = model.signatures["decode"](z=tf.zeros([batch, 3]))["image"]
            self.assertAllEqual(decoded.shape, [batch, 8, 8, 3])
            seeds = tf.range(batch, dtype=tf.int64)
            generated = model.signatures["generate"](seed=seeds)["image"]
            self.assertAllEqual(generated.shape, [batch, 8, 8, 3])
            self.assertAllInRange(generated, 0.0, 1.0)

    def test_versions_count_up_and_nothing_is_left_aside(self):
        model = tiny.model()
        first, second = self._export(model), self._export(model)
        self.assertEqual([os.path.basename(p) for p in (first, second)], ["1", "2"])
        self.assertCountEqual(os.listdir(self.directory), ["1", "2"])
        extra = os.path.join(second, "assets.extra", "config.json")
        self.assertTrue(os.path.isfile(extra))

    def test_an_existing_version_is_kept(self):
        path = self._export(tiny.model())
        with self.assertRaisesRegex(errors.RunError, "no export in .*/1 yet"):
            export.export(tiny.model(), path, {})

    def test_unwritable_folder(self):
        blocked = os.path.join(self.directory, "file")
        with open(blocked, "w"):
            pass
        with self.assertRaisesRegex(errors.RunError, "Expected to write the export"):
            export.export(tiny.model(), os.path.join(blocked, "1"), {})


class CodecTest(tf.test.TestCase):
    def test_not_an_export(self):
        missing = self.create_tempdir().full_path
        with self.assertRaisesRegex(errors.RunError, "made by tools.export"):
            codec.from_export(missing)


if __name__ == "__main__":
    tf.test.main()
