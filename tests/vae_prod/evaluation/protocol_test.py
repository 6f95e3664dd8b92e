import json
import os

import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import files as files_lib
from tests.vae_prod import tiny
from vae_prod.evaluation import assessment, protocol, table
from vae_prod.evaluation import extractors as extractors_lib
from vae_prod.evaluation import quality as quality_lib

_IMAGES = {"data": "faces", "split": "test", "crop": "square", "resample": "lanczos"}

_MODEL = {"recompute_batch_norm": 0, "settings": attrs.asdict(tiny.config())}


def _extractor(digest="e" * 64) -> extractors_lib.Extractor:
    return extractors_lib.Extractor(
        "means", digest, (9, 9), lambda images: images.mean(axis=(1, 2))
    )


class ProtocolTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = tiny.model()
        settings = assessment.Settings(importance_samples=3)
        cls.assessed = assessment.assess(
            quality_lib.Subject.of(cls.model), tiny.batches(), settings, [_extractor()]
        )
        cls.evaluated = cls._evaluation()

    @classmethod
    def _evaluation(cls, images=None, extractors=None, made_by="1.0", **settings):
        own = cls.assessed
        changed = attrs.evolve(own, settings=attrs.evolve(own.settings, **settings))
        return protocol.evaluation(
            changed,
            cls.model.config,
            _IMAGES | (images or {}),
            [_extractor()] if extractors is None else extractors,
            _MODEL | {"weights": "best"},
            {"vae_prod": made_by},
        )

    def test_every_figure_has_a_protocol(self):
        for name, figure in self.evaluated.figures.items():
            own = self.evaluated.protocols[figure["protocol"]]
            self.assertEqual(own["crop"], "square", name)
            self.assertEqual(own["num_images"], 8)
            self.assertEqual(own["images"], self.assessed.images_digest)
        protocols = self.evaluated.protocols
        self.assertNotIn("seed", protocols["images"])
        self.assertEqual(protocols["noise"]["seed"], 1)
        self.assertEqual(protocols["distances"]["distance_images"], 8)
        self.assertEqual(protocols["bound"]["importance_samples"], 3)
        self.assertEqual(protocols["features/means"]["extractor"], "e" * 64)
        self.assertEqual(protocols["features/means"]["feature_images"], 8)

    def test_figures_are_those_of_the_assessment(self):
        values = {name: f["value"] for name, f in self.evaluated.figures.items()}
        quality = self.assessed.quality
        for name in ("psnr", "kl", "elbo", "importance_bound", "active_units"):
            self.assertEqual(values[name], getattr(quality, name))
        self.assertEqual(values["sample_distance_8"], quality.sample_distance.mean)
        self.assertEqual(values["means/fid"], self.assessed.features["means"].fid)
        self.assertIsNone(values["bits_per_dim"])  # Of bce there are none.
        self.assertIsNone(values["ssim"])  # Of 8x8 neither.
        self.assertLen(self.evaluated.per_dimension["kl"], 3)

    def test_file_round_trip(self):
        path = os.path.join(self.create_tempdir().full_path, "test.json")
        with open(path, "w") as file:
            file.write(protocol.to_text(self.evaluated))
        loaded = protocol.load(path)
        again = json.loads(protocol.to_text(self.evaluated))
        self.assertEqual(json.loads(protocol.to_text(loaded)), again)
        protocol.check_alike({"one": loaded, "two": self.evaluated})

    @parameterized.parameters(
        (None, "No such file"), ("{", "can't be read"), ('{"schema_version": 0}', "0")
    )
    def test_files_that_are_none(self, content, message):
        path = os.path.join(self.create_tempdir().full_path, "test.json")
        if content is not None:
            with open(path, "w") as file:
                file.write(content)
        with self.assertRaisesRegex(files_lib.UserError, message) as raised:
            protocol.load(path)
        self.assertIn(path, str(raised.exception))

    @parameterized.parameters(
        ({"images": {"crop": "none"}}, r"crop \(square and none\)"),
        ({"images": {"split": "train"}}, r"split \(test and train\)"),
        ({"images": {"corruption": "noise"}}, r"corruption \(None and noise\)"),
        ({"seed": 2}, r"differ in seed \(1 and 2\)\. Evaluate both"),
        ({"importance_samples": 5}, r"importance_samples \(3 and 5\)"),
        ({"extractors": [_extractor("f" * 64)]}, r"extractor \(e{12}\.\.\. and f{12}"),
    )
    def test_unlike_protocols_are_refused_by_name(self, changes, message):
        other = self._evaluation(**changes)
        with self.assertRaisesRegex(files_lib.UserError, message) as raised:
            protocol.check_alike({"a": self.evaluated, "b": self.evaluated, "c": other})
        self.assertIn("a and c differ", str(raised.exception))

    def test_other_images_and_counts_are_refused(self):
        quality = attrs.evolve(self.assessed.quality, distance_images=5)
        fewer = attrs.evolve(self.assessed, quality=quality, images_digest="0" * 64)
        other = protocol.evaluation(
            fewer, self.model.config, _IMAGES, [_extractor()], {}, {}
        )
        message = r"images \(\w{12}\.\.\. and 000000000000\.\.\.\), distance_images \(8"
        with self.assertRaisesRegex(files_lib.UserError, message):
            protocol.check_alike({"a": self.evaluated, "b": other})

    def test_figures_that_one_lacks_are_no_hindrance(self):
        assessed = attrs.evolve(self.assessed, features={})
        other = protocol.evaluation(
            assessed,
            self.model.config,
            _IMAGES,
            [],
            _MODEL | {"weights": "last"},
            {"vae_prod": "2.0"},
        )
        both = {"a.json": self.evaluated, "b.json": other}
        protocol.check_alike(both)
        self.assertEqual(
            protocol.notes(both), ["weights: best, last", "made by vae_prod 1.0, 2.0"]
        )
        text = table.comparison(both)
        self.assertIn("2: b.json (vae, bce, fact 5, z_dim 3, conv2d_transpose)", text)
        self.assertIn("unlike: weights: best, last", text)
        (fid,) = (line for line in text.splitlines() if "FID" in line)
        self.assertRegex(fid, r"\d +n/a +lower is better")
        (psnr,) = (line for line in text.splitlines() if "PSNR" in line)
        self.assertRegex(psnr, r"PSNR +([\d.]+) +\1  dB, higher is better")

    def test_table(self):
        text = table.text(self.evaluated)
        for words in ("weighted bound, K = 3", "z against z_mean", "What to do: "):
            self.assertIn(words, text)
        self.assertLess(max(map(len, text.splitlines())), 89)

    @parameterized.parameters(
        (None, "n/a"),
        (1234, "1,234"),
        (12345.67, "12,345.7"),
        (23.456, "23.46"),
        (0.12345, "0.1235"),
        (-0.000123, "-1.23e-04"),
        (0.0, "0.00"),
    )
    def test_numbers(self, value, expected):
        self.assertEqual(table.number(value), expected)


if __name__ == "__main__":
    tf.test.main()
