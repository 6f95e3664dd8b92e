import numpy as np
import tensorflow as tf

from pipelines import faces
from pipelines.converting import source


class FaceTest(tf.test.TestCase):
    def test_has_five_points_whatever_the_order_of_the_columns(self):
        names = source.LANDMARKS[::-1]
        face = source.face(names, {"landmarks": range(10)})
        self.assertAllEqual(face.landmarks, np.arange(9, -1, -1).reshape(5, 2))
        self.assertIsNone(face.box)

    def test_other_landmarks_tell_nothing(self):
        face = source.face(("chin_x",), {"landmarks": [3], "box": (1, 2, 3, 4)})
        self.assertIsNone(face.landmarks)
        self.assertEqual(face.box, (1, 2, 3, 4))

    def test_built_in_faces_have_the_same_names(self):
        self.assertCountEqual(faces.LANDMARK_NAMES, source.LANDMARKS)


if __name__ == "__main__":
    tf.test.main()
