import numpy as np
import tensorflow as tf

from pipelines import faces
from pipelines.convert import source


class PointsTest(tf.test.TestCase):
    def test_are_five_whatever_the_order_of_the_columns(self):
        names = source.LANDMARKS[::-1]
        points = source.points(names, range(10))
        self.assertAllEqual(points, np.arange(9, -1, -1).reshape(5, 2))

    def test_built_in_faces_have_the_same_names(self):
        self.assertCountEqual(faces.LANDMARK_NAMES, source.LANDMARKS)


if __name__ == "__main__":
    tf.test.main()
