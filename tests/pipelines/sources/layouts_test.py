"""The same 60 images in every layout give the same shards as CelebA's official one."""

import functools
import hashlib
import os
import tempfile

import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as config_lib
from pipelines import records, sources
from pipelines.converting import conversion, plan
from pipelines.sources import layouts
from tests.pipelines.sources import layouts_fixtures

_CONFIG = config_lib.ConvertConfig(image_size=0, crop="none", encoding="png", shards=2)
_ALL = {"key", "split", "attributes", "landmarks", "identity"}


@functools.cache
def _converted(name):
    """Convert a layout; return its source, manifest and folder."""
    folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
    written = os.path.join(folder, "source")
    os.makedirs(written)
    said = layouts_fixtures.LAYOUTS[name][1](written)
    source = sources.open_source(said, _CONFIG)
    out = os.path.join(folder, "out")
    # The name is in the names of files alone.
    renamed = attrs.evolve(source, name="same")
    return source, conversion.convert(plan.make_plan(renamed, _CONFIG), out), out


def _shards(name):
    """Return the sha256 of every shard."""
    manifest = _converted(name)[1]
    return {
        split: [shard.sha256 for shard in content.shards]
        for split, content in manifest.splits.items()
    }


def _examples(name):
    """Map each image's digest to its split and the fields it has."""
    _, manifest, out = _converted(name)
    spec, found = manifest.record, {}
    for split, content in manifest.splits.items():
        paths = [os.path.join(out, shard.file) for shard in content.shards]
        for record in tf.data.TFRecordDataset(paths):
            fields = records.parse(spec, record, spec.fields())
            image = hashlib.sha256(fields.pop("image").numpy().tobytes()).hexdigest()
            values = {field: np.asarray(v).tolist() for field, v in fields.items()}
            for field in ("attributes", "landmarks"):
                if field in values:
                    names = getattr(spec, field)
                    pairs = zip(names, values[field], strict=True)
                    values[field] = dict(pairs)
            found[image] = {"split": split, **values}
    return found


class LayoutsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*layouts_fixtures.LAYOUTS)
    def test_gives_what_the_official_layout_gives(self, name):
        source, _, _ = _converted(name)
        kind = next(k for k in sources.KINDS if k.name == source.kind)
        self.assertEqual(kind.name, layouts_fixtures.LAYOUTS[name][0])
        if "attributes" in kind.carries:
            self.assertEqual(source.attributes, layouts_fixtures.ATTRIBUTES)
        if set(kind.carries) >= _ALL:
            # What is aligned has no boxes, what has boxes has them in its records.
            alike = "in the wild" if source.box else "official"
            self.assertEqual(_shards(name), _shards(alike))
        expected, found = _examples("official"), _examples(name)
        self.assertEqual(found.keys(), expected.keys())
        for image, fields in found.items():
            for field in _ALL & set(kind.carries) - {"split"}:
                self.assertEqual(fields[field], expected[image][field], field)

    def test_splits_and_classes_of_folders_and_splits_of_ffhq(self):
        expected = _examples("official")
        for image, fields in _examples("folders of splits").items():
            self.assertEqual(fields["split"], expected[image]["split"])
            self.assertEqual(
                fields["label"], 1 - expected[image]["attributes"]["Smiling"]
            )
        for form in ("CSV", "JSON lines"):
            for image, fields in _examples(f"Hugging Face's folders, {form}").items():
                self.assertEqual(fields["split"], expected[image]["split"])
        for name in ("FFHQ", "FFHQ, in the wild"):
            for image, fields in _examples(name).items():
                is_train = expected[image]["split"] == "train"
                self.assertEqual(fields["split"], "train" if is_train else "validation")

    @parameterized.parameters("in the wild", "Hugging Face", "FFHQ, in the wild")
    def test_boxes_are_handed_over_and_stored(self, name):
        source, _, _ = _converted(name)
        self.assertTrue(source.box)
        items, stored = list(source.read("train", source.splits["train"])), {}
        for item in items:
            number = int(item.key.partition(".")[0])
            number -= item.key in layouts_fixtures.KEYS  # These begin with 1.
            self.assertEqual(
                list(item.load()[1]["box"]), layouts_fixtures.box(number), item.key
            )
            stored[item.key] = layouts_fixtures.box(number)
        kept = {e["key"].decode(): e["box"] for e in _examples(name).values()}
        self.assertContainsSubset(stored, kept)

    def test_every_layout_has_a_case(self):
        cases = {kind for kind, _ in layouts_fixtures.LAYOUTS.values()}
        self.assertContainsSubset({layout.name for layout in layouts.LAYOUTS}, cases)

    @parameterized.parameters(
        ("Kaggle", "list_bbox_celeba.csv", "in img_celeba, which aren't those here"),
        ("CelebAMask-HQ", "CelebAMask-HQ-pose-anno.txt", "'0.5' is no whole number"),
        ("CelebAMask-HQ", "CelebA-HQ-to-CelebA-mapping.txt", "7 is among its values"),
        ("Hugging Face", "*.parquet", "it holds free texts"),
    )
    def test_what_is_ignored_has_its_reason(self, name, where, reason):
        uses = [use for use in _converted(name)[0].uses if use.where == where]
        self.assertContainsSubset({"ignored"}, {use.role for use in uses})
        self.assertTrue(any(reason in use.reason for use in uses), uses)

    def test_masks_are_left_out_and_named(self):
        warnings = _converted("CelebAMask-HQ")[0].warnings
        self.assertRegex(warnings[0], "1 images are left out, .* no photographs; first")

    @parameterized.parameters(
        *("official", "torchvision", "Kaggle", "in the wild", "FFHQ", "Hugging Face"),
        *("Hugging Face's folders, CSV", "Hugging Face's folders, JSON lines"),
    )
    def test_no_warning_where_all_is_understood(self, name):
        self.assertEmpty(_converted(name)[0].warnings)


if __name__ == "__main__":
    tf.test.main()
