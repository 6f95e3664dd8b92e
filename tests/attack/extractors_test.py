"""Mutated networks of users' own, given to judge images: used, or refused.

They carry no digests to compare, so each byte reaches TensorFlow.
"""

import os

import tensorflow as tf
from absl.testing import parameterized

from tests.attack import attacks, limits
from tests.vae_prod.evaluation.features import frozen_inception_test
from vae_prod.evaluation.features import extractors

_SHAPE = (8, 8, 3)
# Of each file.
_COUNT = 8 * limits.SCALE


class _Network(tf.Module):
    def __init__(self):
        super().__init__()
        self.weights = tf.Variable(tf.ones([8 * 8 * 3, 5]))

    @tf.function(input_signature=[tf.TensorSpec([None, *_SHAPE], tf.float32)])
    def __call__(self, images):
        return {"vectors": tf.reshape(images, [-1, 8 * 8 * 3]) @ self.weights}


class ExtractorsTest(attacks.AttackTest, parameterized.TestCase):
    @parameterized.parameters(
        *("saved_model.pb", "variables/variables.index"),
        "variables/variables.data-00000-of-00001",
    )
    def test_saved_model(self, name):
        network, folder = _Network(), self.folder
        signature = network.__call__.get_concrete_function()
        tf.saved_model.save(network, folder, signatures=signature)
        extractors.load(f"saved_model:{folder}", _SHAPE)
        path = os.path.join(folder, name)
        use = lambda _: extractors.load(f"saved_model:{folder}", _SHAPE)  # noqa: E731
        self.assertGreater(self.attack(path, use, _COUNT), 0)

    def test_frozen_graph(self):
        path = os.path.join(self.folder, "graph.pb")
        attacks.write(path, frozen_inception_test._graph().SerializeToString())
        use = lambda _: extractors.load(f"ttur:{path}", _SHAPE)  # noqa: E731
        use(0)
        self.assertGreater(self.attack(path, use, _COUNT), 0)


if __name__ == "__main__":
    tf.test.main()
