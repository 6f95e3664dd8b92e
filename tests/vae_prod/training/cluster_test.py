import json
import os
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from pipelines import files
from vae_prod.training import cluster

_TWO = ("a:1", "b:2")


def _tf_config(task, **named):
    return json.dumps({"cluster": named, "task": task})


class FindTest(parameterized.TestCase, tf.test.TestCase):
    def _find(self, *arguments, **environment):
        with mock.patch.dict(os.environ, environment):
            return cluster.find(*arguments)

    def test_flags_come_first(self):
        found = self._find(_TWO, 1, TF_CONFIG="damaged")
        self.assertEqual(found, cluster.Cluster(_TWO, 1))

    @parameterized.parameters(
        ({"type": "worker", "index": 1}, {"worker": _TWO}, 1),
        ({"type": "worker", "index": "1"}, {"worker": _TWO}, 1),
        ({"type": "chief", "index": 0}, {"chief": ["a:1"], "worker": ["b:2"]}, 0),
        ({"type": "worker", "index": 0}, {"chief": ["a:1"], "worker": ["b:2"]}, 1),
    )
    def test_tf_config(self, task, named, index):
        found = self._find(TF_CONFIG=_tf_config(task, **named))
        self.assertEqual(found, cluster.Cluster(_TWO, index))

    def test_slurm(self):
        resolver = mock.Mock()
        spec = tf.train.ClusterSpec({"worker": list(_TWO)})
        resolver.cluster_spec.return_value = spec
        resolver.get_task_info.return_value = ("worker", 1)
        resolvers = tf.distribute.cluster_resolver
        with mock.patch.object(
            resolvers, "SlurmClusterResolver", return_value=resolver
        ):
            found = self._find(SLURM_PROCID="1")
        self.assertEqual(found, cluster.Cluster(_TWO, 1))

    @parameterized.parameters(
        ((), {}, "found none; give --cluster=HOST:PORT"),
        ((), {"TF_CONFIG": "{"}, "TF_CONFIG to hold cluster.worker"),
        ((), {"TF_CONFIG": "[]"}, "TF_CONFIG to hold cluster.worker"),
        ((), {"TF_CONFIG": '{"cluster": {}, "task": {}}'}, "KeyError: 'worker'"),
        (
            (),
            {"TF_CONFIG": _tf_config({"type": "ps", "index": 0}, worker=_TWO)},
            "a task of type 'ps'",
        ),
        ((("a:1", "a:1"), 0), {}, "different addresses HOST:PORT"),
        ((("a", "b:2"), 0), {}, "different addresses HOST:PORT"),
        ((("http://a:1", "b:2"), 0), {}, "different addresses HOST:PORT"),
        ((_TWO, 2), {}, "number from 0 to 1, received 2"),
        ((_TWO, -1), {}, "number from 0 to 1, received -1"),
        ((), {"SLURM_PROCID": "0"}, "SLURM to name the workers"),
    )
    def test_refusals(self, arguments, environment, message):
        with self.assertRaisesRegex(files.UserError, message):
            self._find(*arguments, **environment)


if __name__ == "__main__":
    tf.test.main()
