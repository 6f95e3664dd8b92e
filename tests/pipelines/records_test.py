import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import records
from pipelines.converting import images
from tests.pipelines import fixtures

_ANNOTATIONS = {
    "label": [2],
    "attributes": [1, 0],
    "landmarks": [-5, 70000],
    "box": [0, -1, 30, 40],
    "identity": [9],
}


def _spec(encoding="raw", channels=3, **changes):
    full = {
        "attributes": ["Smiling", "Young"],
        "landmarks": ["nose_x", "nose_y"],
        "box": True,
        "identity": True,
        "label_names": ["a", "b", "c"],
    }
    return records.RecordSpec((32, 24, channels), encoding, **{**full, **changes})


def _record(spec):
    image = fixtures.photo(0, (24, 32)).convert(
        {1: "L", 3: "RGB"}[spec.image_shape[-1]]
    )
    data = images.encode(image.copy(), spec.encoding, 95)
    pixels = np.asarray(image).reshape(spec.image_shape)
    return pixels, records.encode(spec, "a/b.jpg", data, _ANNOTATIONS)


class RecordsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.product(encoding=("jpeg", "png", "raw"), channels=(1, 3))
    def test_round_trip(self, encoding, channels):
        spec = _spec(encoding, channels)
        pixels, record = _record(spec)
        eager = records.parse(spec, record, spec.fields())
        dataset = tf.data.Dataset.from_tensors(record)
        mapped = next(
            iter(dataset.map(lambda r: records.parse(spec, r, spec.fields())))
        )
        for example in (eager, mapped):
            difference = np.abs(example["image"].numpy().astype(int) - pixels)
            # JPEG at quality 95 halves the chroma's resolution.
            self.assertLessEqual(difference.mean(), 5 if encoding == "jpeg" else 0)
            self.assertEqual(example["key"], b"a/b.jpg")
            self.assertAllEqual(example["label"], 2)
            self.assertAllEqual(example["attributes"], [1, 0])
            self.assertAllEqual(example["landmarks"], [-5, 70000])
            self.assertAllEqual(example["box"], [0, -1, 30, 40])
            self.assertAllEqual(example["identity"], 9)

    def test_names_are_those_of_tfds(self):
        _, record = _record(_spec())
        self.assertCountEqual(
            tf.train.Example.FromString(record).features.feature,
            [
                *("image", "filename", "label", "identity/Identity_No"),
                *("attributes/Smiling", "attributes/Young"),
                *("landmarks/nose_x", "landmarks/nose_y"),
                *("box/x_1", "box/y_1", "box/width", "box/height"),
            ],
        )

    def test_only_the_fields_asked_for(self):
        spec = _spec()
        _, record = _record(spec)
        self.assertEqual(list(records.parse(spec, record)), ["image"])
        self.assertCountEqual(
            records.parse(spec, record, ("label", "key")), ["image", "label", "key"]
        )

    def test_fields_follow_the_spec(self):
        self.assertEqual(_spec().fields(), records.FIELDS)
        bare = records.RecordSpec((6, 4, 3), "raw")
        self.assertEqual(bare.fields(), ("key",))

    def test_bytes_are_deterministic(self):
        self.assertEqual(_record(_spec())[1], _record(_spec())[1])

    def test_too_few_values_are_refused(self):
        with self.assertRaisesRegex(ValueError, "zip"):
            records.encode(_spec(), "k", b"", {**_ANNOTATIONS, "attributes": [1]})

    def test_unknown_encoding_is_refused(self):
        with self.assertRaisesRegex(ValueError, "'encoding' must be in .*'bmp'"):
            _spec("bmp")

    def test_image_of_another_shape_is_refused(self):
        spec = _spec("png")
        data = images.encode(fixtures.photo(0, (5, 5)), "png", 95)
        with self.assertRaises((ValueError, tf.errors.InvalidArgumentError)):
            records.decode_image(spec, tf.constant(data))


if __name__ == "__main__":
    tf.test.main()
