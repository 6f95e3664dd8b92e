"""Each flag of each program has a test, through the program, of what it changes.

Most have one of their own, in a test of the program that gives it. Here are those of
`train` that change a batch, the model or a loss: the program runs up to its first step,
which is looked at in place of a training.
"""

import hashlib
import importlib
import pathlib
import re
from unittest import mock

import keras
import tensorflow as tf
from absl import flags as absl_flags
from absl.testing import parameterized

import tools
from tests.pipelines import shard_fixtures
from tests.tools import train_test
from tools import train
from vae_prod.model import kl, vae
from vae_prod.optim import schedules
from vae_prod.training import run as run_lib

_TESTS = pathlib.Path(__file__).parents[1]
# Programs that take the flags of training beside their own.
_TAKE_TRAINS = ("tune", "study", "doctor")
# What must change with a flag of `train`, and what is given beside it, both times.
_SHOWN = {
    "blocks": ("networks", "residual", ()),
    "encoder_dense": ("networks", "5", ()),
    "upsampling": ("networks", "bilinear", ("--decoder=upsampling",)),
    "decoder_filters": ("networks", "9", ()),
    "decoder_output": ("networks", "extra_conv", ()),
    "batch_norm": ("networks", "false", ()),
    "group_norm": ("networks", "2", ()),
    "reconstruction": ("losses", "mse", ()),
    "divergence": ("losses", "mmd", ()),
    "free_bits": ("losses", "9", ()),
    "epsilon_limit": ("losses", "0.01", ()),
    "fact_warmup_steps": ("fact", "7", ("--fact_schedule=linear",)),
    "learning_rate_floor": ("rate", "0.5", ("--learning_rate_schedule=cosine",)),
    "shuffle": ("batch", "none", ()),
    "shuffle_buffer": ("batch", "1", ("--shuffle=blocks",)),
    "keep_last_batch": ("steps", "true", ()),
    "random_crop": ("batch", "4", ()),
    "flip": ("batch", "true", ()),
    "translate": ("batch", "0.5", ()),
    "zoom": ("batch", "0.5", ()),
    "brightness": ("batch", "0.5", ()),
    "contrast": ("batch", "0.5", ()),
    "saturation": ("batch", "0.9", ()),
    "corruption": ("batch", "noise", ()),
    "corruption_level": ("batch", "0.9", ("--corruption=noise",)),
}


def _flags(program):
    values = absl_flags.FlagValues()
    importlib.import_module(f"tools.{program}").define(values)
    return set(values)


def _own_flags(program):
    shared = _flags("train") - {"data_dir", "run_dir"}
    return _flags(program) - (shared if program in _TAKE_TRAINS else set())


def _given(program):
    """Return the flags that tests which name a program give to any."""
    texts = [path.read_text() for path in (_TESTS / "tools").rglob("*_test.py")]
    of_it = [text for text in texts if re.search(rf"\b{program}\b", text)]
    return set(re.findall(r"--(?:no)?([a-z][a-z_]*)", " ".join(of_it)))


def _looked_at(model_config, config, data, *_, **__):
    """Stand in for a training: return what it would begin with."""
    batches = list(data.train(0, 0).take(2))
    content = b"".join(batch["image"].numpy().tobytes() for batch in batches)
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = vae.VAE(model_config, config.seed)
    seed, fact = tf.constant([1, 2], tf.int64), kl.fact_at(model_config, tf.constant(3))
    losses = model.losses(batches[0], seed, fact, training=False)
    rate = schedules.learning_rate(config, data.steps_per_epoch)
    return {
        "batch": hashlib.sha256(content).hexdigest(),
        "steps": data.steps_per_epoch,
        "networks": model.encoder.to_json() + model.decoder.to_json(),
        "losses": {name: float(value) for name, value in losses.items()},
        "fact": float(fact),
        "rate": float(rate(10**6)) if callable(rate) else rate,
    }


class FlagsShownTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data_dir = cls.create_tempdir(cls()).full_path
        sizes = {"train": (12, 10), "validation": (), "test": ()}
        shard_fixtures.write(cls.data_dir, sizes, shape=(8, 8, 3))
        cls.begun = {}

    def _begin(self, *argv):
        """Return what a training with these flags begins with, each time the same."""
        if argv not in self.begun:
            seen = []

            def fit(*args, **kwargs):
                seen.append(_looked_at(*args, **kwargs))

            with mock.patch.object(run_lib, "fit", fit):
                folder = self.create_tempdir().full_path
                shapes = ("--filters=4,6", "--z_dim=3", "--batch_size=8")
                places = (f"--data_dir={self.data_dir}", f"--run_dir={folder}/run")
                code, _, err = train_test.run_program(train, *places, *shapes, *argv)
            self.assertEqual(code, 0, err)
            (self.begun[argv],) = seen
        return self.begun[argv]

    @parameterized.parameters(*_SHOWN)
    def test_changes_what_training_begins_with(self, flag):
        what, value, beside = _SHOWN[flag]
        without, given = self._begin(*beside), self._begin(*beside, f"--{flag}={value}")
        self.assertNotEqual(without[what], given[what])

    @parameterized.parameters(*tools.PROGRAMS)
    def test_every_flag_is_tried_through_its_program(self, program):
        shown = _given(program) | (set(_SHOWN) if program == "train" else set())
        self.assertEmpty(_own_flags(program) - shown)


if __name__ == "__main__":
    tf.test.main()
