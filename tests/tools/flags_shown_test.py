"""Each flag of each program has a test, through the program, of what it changes.

Most have one of their own, in a test of the program that gives it. Here are those of
`train` that change a batch, the model or a loss: the program runs up to its first step,
which is looked at in place of a training.
"""

import importlib
import pathlib
import re
from unittest import mock

import keras
import tensorflow as tf
from absl import flags as absl_flags
from absl.testing import parameterized

import tools
from pipelines.reading import native
from tests.pipelines import shard_fixtures
from tests.tools import train_test
from tools import train
from vae_prod.model import kl
from vae_prod.optim import schedules
from vae_prod.training import building
from vae_prod.training import run as run_lib

_TESTS = pathlib.Path(__file__).parents[1]
# Programs that take the flags of training beside their own.
_TAKE_TRAINS = ("tune", "study", "doctor")
# What must change with a flag of `train`, and what is given beside it, both times.
_SHOWN = {
    "activation": ("networks", "gelu", ()),
    "batch_size": ("steps", "4", ()),
    "decoder": ("networks", "upsampling", ()),
    "dropout": ("networks", "0.5", ()),
    "ema": ("optimizer", "0.5", ()),
    "fact": ("fact", "9", ()),
    "fact_schedule": ("fact", "linear", ()),
    "filters": ("networks", "4,7", ()),
    "gradient_accumulation": ("optimizer", "2", ()),
    "gradient_clip_norm": ("optimizer", "0.5", ()),
    "jit_compile": ("calls", "true", ()),
    "kernel_sizes": ("networks", "5", ()),
    "learning_rate": ("rate", "0.5", ()),
    "learning_rate_decay_steps": ("rate", "99", ("--learning_rate_schedule=cosine",)),
    "learning_rate_schedule": ("rate", "cosine", ()),
    "learning_rate_warmup_steps": ("rate", "7", ()),
    "max_bad_steps": ("calls", "3", ()),
    "mixed_precision": ("networks", "bfloat16", ("--mixed_precision=float32",)),
    "mode": ("networks", "ae", ()),
    "native": ("reader", "false", ()),
    "reconstruction_weight": ("losses", "3", ()),
    "seed": ("batch", "2", ()),
    "steps_per_execution": ("calls", "2", ()),
    "strides": ("networks", "1", ()),
    "z_dim": ("networks", "4", ()),
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


def _batches(data):
    with mock.patch.object(native, "choose", wraps=native.choose) as choose:
        return list(data.train(0, 0).take(2)), choose.call_args


def _model(model_config, config, data):
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    return building.build(model_config, config, data.steps_per_epoch)


def _networks(*training):
    model = _model(*training)
    return model.encoder.to_json() + model.decoder.to_json()


def _losses(model_config, config, data):
    model, seed = _model(model_config, config, data), tf.constant([1, 2], tf.int64)
    fact = kl.fact_at(model_config, tf.constant(3))
    losses = model.losses(_batches(data)[0][0], seed, fact, training=False)
    return {name: float(value) for name, value in losses.items()}


def _optimizer(*training):
    optimizer = _model(*training).optimizer
    return optimizer.gradient_accumulation, optimizer.ema, optimizer.clip_norm


def _calls(*training):
    model = _model(*training)
    return model.jit_compile, model.steps_per_execution, model.guard.limit


def _rates(_, config, data):
    rate = schedules.learning_rate(config, data.steps_per_epoch)
    return [float(rate(n)) if callable(rate) else rate for n in (0, 3, 10**6)]


# What a training with these settings begins with.
_LOOKED_AT = {
    "batch": lambda *training: [
        batch["image"].numpy().tobytes() for batch in _batches(training[-1])[0]
    ],
    "reader": lambda *training: _batches(training[-1])[1],
    "steps": lambda *training: training[-1].steps_per_epoch,
    "networks": _networks,
    "losses": _losses,
    "optimizer": _optimizer,
    "calls": _calls,
    "fact": lambda model_config, *_: float(kl.fact_at(model_config, tf.constant(3))),
    "rate": _rates,
}


class FlagsShownTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data_dir = cls.create_tempdir(cls()).full_path
        sizes = {"train": (12, 10), "validation": (), "test": ()}
        shard_fixtures.write(cls.data_dir, sizes, shape=(8, 8, 3))
        cls.begun = {}

    def _begin(self, what, *argv):
        """Return what a training with these flags begins with, each time the same."""
        if (what, argv) not in self.begun:
            seen = []

            def fit(model_config, config, data, *_, **__):
                seen.append(_LOOKED_AT[what](model_config, config, data))

            with mock.patch.object(run_lib, "fit", fit):
                folder = self.create_tempdir().full_path
                shapes = ("--filters=4,6", "--z_dim=3", "--batch_size=8")
                places = (f"--data_dir={self.data_dir}", f"--run_dir={folder}/run")
                code, _, err = train_test.run_program(train, *places, *shapes, *argv)
            self.assertEqual(code, 0, err)
            (self.begun[what, argv],) = seen
        return self.begun[what, argv]

    @parameterized.parameters(*_SHOWN)
    def test_changes_what_training_begins_with(self, flag):
        what, value, beside = _SHOWN[flag]
        without = self._begin(what, *beside)
        given = self._begin(what, *beside, f"--{flag}={value}")
        self.assertNotEqual(without, given)

    @parameterized.parameters(*tools.PROGRAMS)
    def test_every_flag_is_tried_through_its_program(self, program):
        shown = _given(program) | (set(_SHOWN) if program == "train" else set())
        self.assertEmpty(_own_flags(program) - shown)


if __name__ == "__main__":
    tf.test.main()
