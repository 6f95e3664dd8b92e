import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import examples, faces, records

_SPEC = records.RecordSpec(
    image_shape=(4, 4, 3),
    encoding="raw",
    attributes=faces.ATTRIBUTE_NAMES,
    landmarks=faces.LANDMARK_NAMES,
    identity=True,
    label_names=("a", "b"),
)


def _reference(features, key, image, annotations):
    feature = {
        "filename": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[key.encode()])
        ),
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[image])),
    }
    for field, names in features.items():
        for name, value in zip(names, annotations[field], strict=True):
            integers = tf.train.Int64List(value=[value])
            feature[name] = tf.train.Feature(int64_list=integers)
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    return example.SerializeToString(deterministic=True)


class ExamplesTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(0, 1, 127, 128, 16_383, 16_384, 2**31, 2**63 - 1)
    def test_bytes_are_those_of_tensorflow(self, number):
        names = records.feature_names(_SPEC)
        annotations = {
            "label": [1],
            "attributes": [n % 2 for n in range(40)],
            "landmarks": [number, -number, *range(8)],
            "identity": [number],
        }
        image = b"x" * min(number, 100_000)
        for key in ("a.jpg", "späße/" + "b" * 200, ""):
            for features in (names, {}):
                arguments = (features, key, image, annotations)
                self.assertEqual(examples.encode(*arguments), _reference(*arguments))

    def test_numpy_values(self):
        features = {"attributes": ("a", "b")}
        annotations = {"attributes": np.array([-1, 1], np.int8)}
        self.assertEqual(
            examples.encode(features, "k", b"", annotations),
            examples.encode(features, "k", b"", {"attributes": [-1, True]}),
        )

    def test_wrong_number_of_values(self):
        with self.assertRaises(ValueError):
            examples.encode({"attributes": ("a", "b")}, "k", b"", {"attributes": [1]})


if __name__ == "__main__":
    tf.test.main()
