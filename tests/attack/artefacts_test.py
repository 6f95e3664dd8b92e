"""Mutated artefacts, settings and flagfiles through all that reads them.

As `parsers_test`: right, or refused in a sentence.
"""

import functools
import json
import os
from unittest import mock

import attrs
import keras_tuner
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import config as data_config_lib
from pipelines import documents, files
from tests.attack import attacks, limits
from tests.vae_prod import tiny
from tests.vae_prod.evaluation import evaluations
from tools import program as program_lib
from tools import runs, train, verify_export
from tools.search import search_directory
from tools.studies import config as studies_config
from vae_prod import config as config_lib
from vae_prod.core import artefacts, seals
from vae_prod.evaluation import comparability, evaluation_file, table
from vae_prod.latent import (
    arithmetic,
    densities,
    encodings,
    fitted,
    second_stage_training,
)
from vae_prod.serving import description, formats, record
from vae_prod.training import history, run_directory
from vae_prod.tuning import oracles, trials

_CONFIGS = (
    *(data_config_lib.ConvertConfig, data_config_lib.DataConfig),
    *(config_lib.ModelConfig, config_lib.TrainConfig, config_lib.SearchConfig),
    studies_config.StudyConfig,
)
_POINTS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)


def _write_json(path, values):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    attacks.write(path, json.dumps(values).encode())
    return path


def _run():
    train_config, data = config_lib.TrainConfig(), data_config_lib.DataConfig()
    return run_directory.Run(tiny.config(), train_config, data, "/data", "0" * 64)


def _run_settings(folder):
    run_directory.write(folder, _run(), "")
    return os.path.join(folder, "config.json"), lambda: runs.load(folder).digest()


def _search_settings(folder):
    values = {
        "search": attrs.asdict(config_lib.SearchConfig()),
        "base": attrs.asdict(_run()),
    }
    path = _write_json(os.path.join(folder, "search.json"), values)
    return path, lambda: search_directory.read_settings(path, "").base.digest()


def _history(folder):
    path = os.path.join(folder, "history.csv")
    writer = history.HistoryFile(path, first_epoch=0)
    for epoch in range(3):
        writer.on_epoch_end(epoch, {"total_loss": 1.0 / (epoch + 1), "kl": 2e-7})

    def use():
        for row in history.read(path):
            _ = [int(row["epoch"])] + [float(v) for v in row.values() if v]

    return path, use


def _evaluation(folder):
    path = os.path.join(folder, "test.json")
    good = evaluations.evaluation()
    attacks.write(path, evaluation_file.to_text(good).encode())

    def use():
        both = {"good": good, "mutated": evaluation_file.load(path)}
        comparability.check_alike(both)
        table.comparison(both)

    return path, use


def _encoding(name, sealed=False):
    def make(folder):
        np.save(os.path.join(folder, "z_mean.npy"), _POINTS)
        np.save(os.path.join(folder, "z_log_var.npy"), np.asfortranarray(_POINTS))
        np.save(os.path.join(folder, "label.npy"), np.arange(12))
        artefacts.write_made(folder, {"model": "0" * 64, "num_images": 12})
        if not sealed:
            os.remove(os.path.join(folder, seals.NAME))

        def use():
            encoding = encodings.open_encoding(folder, "Make it anew.")
            densities.draw_points(encoding.z_mean, encoding.z_log_var, 4, 1)
            return encoding.label[:].sum()

        return os.path.join(folder, name), use

    return make


def _sampler(kind, fit):
    def make(folder):
        path = os.path.join(folder, kind)
        fit(_POINTS, made={"model": "0" * 64}).save(path)
        os.remove(os.path.join(path, seals.NAME))

        def use():
            fitted.load(path, kind, "Fit it anew.").log_prob(np.zeros([2, 3]))

        return os.path.join(path, artefacts.ARRAYS), use

    return make


_second_stage = functools.partial(second_stage_training.fit, units=4, epochs=1)


def _vectors(folder):
    path = os.path.join(folder, "attributes")
    arithmetic.by_attribute(_POINTS, _POINTS[:, :2] > 0, ("a", "b c")).save(path)
    os.remove(os.path.join(path, seals.NAME))

    def use():
        arithmetic.load(path, "Fit them anew.").vectors()

    return os.path.join(path, artefacts.ARRAYS), use


def _description(folder):
    values = description.Description(
        signatures={"decode": {"meaning": "", "inputs": {}, "outputs": {}}},
        default="decode",
        samplers=["prior"],
        attributes=["a"],
        preparation={"crop": "square"},
        sharpness=1.0,
        max_batch=4,
        max_pixels=100,
        max_request_pixels=100,
        variance=None,
        weights_digest="0" * 64,
        data_digest="1" * 64,
        made_by={"keras": "3"},
    )
    path = os.path.join(folder, description.EXTRA, description.NAME)
    os.makedirs(os.path.dirname(path))
    attacks.write(os.path.join(folder, "saved_model.pb"), b"x")
    attacks.write(path, values.sealed(folder).to_text().encode())
    return path, lambda: description.damage(folder, description.load(folder))


def _format(name):
    def make(folder):
        run_directory.write(folder, _run(), "")
        networks = {"e": b"of the encoder", "d": b"of the decoder"}
        for network, data in networks.items():
            attacks.write(os.path.join(folder, network), data)
        facts = {
            formats.DIGEST: "0" * 64,
            formats.VARIANCE: None,
            formats.FILES: formats.digests(networks),
            "more": {},
        }
        _write_json(os.path.join(folder, formats.VERIFIED), facts)

        def use():
            formats.open_codec(folder, ("e", "d"), lambda path, _: path, 1)

        return os.path.join(folder, name), use

    return make


def _recorded(folder):
    path = os.path.join(folder, record.GOLDEN)
    record.save(path, {"decode": ({"z": _POINTS}, {"image": _POINTS})})
    return path, lambda: verify_export._check_record(path)


def _search(name):
    """Make a search of three trials that have ended, and read all of it."""

    def make(folder):
        config = config_lib.SearchConfig(tuner="random", max_trials=3)
        space = keras_tuner.HyperParameters()
        space.Float("fact", 0.1, 10.0, sampling="log")

        def oracle():
            return oracles.make(config, space, 1, folder)

        searching = oracle()
        for _ in range(3):
            trial = searching.create_trial("w")
            searching.update_trial(trial.trial_id, {"frechet": 1.0})
            trial.status = oracles.Status.COMPLETED
            searching.end_trial(trial)
            path = trials.directory(folder, trial.trial_id)
            result = trials.Result({"frechet": 1.0, "elbo": None}, 2.0)
            _write_json(os.path.join(path, "result.json"), attrs.asdict(result))

        def use():
            oracle().create_trial("w")
            for row in trials.rows(folder):
                trials.directory(folder, row.trial)

        in_trial = os.path.join(trials.directory(folder, trial.trial_id), name)
        in_project = os.path.join(folder, oracles.PROJECT, name)
        return next(filter(os.path.isfile, (in_trial, in_project))), use

    return make


def _flagfile(folder):
    path = os.path.join(folder, "some.flags")
    text = "# Some.\n--recipe=celeba_96\n--filters=4,8\n--fact=1.5\n--run_dir=a b\n"
    attacks.write(path, f"{text}--nobatch_norm\n".encode())
    return path, lambda: program_lib.parse(train, [f"--flagfile={path}"])


_READERS = {
    "settings of a run": _run_settings,
    "settings of a search": _search_settings,
    "history": _history,
    "evaluation": _evaluation,
    "encoding: points": _encoding("z_mean.npy"),
    "encoding: labels": _encoding("label.npy"),
    "encoding: how it was made": _encoding("made.json"),
    "encoding: seal": _encoding(seals.NAME, sealed=True),
    "encoding: sealed": _encoding("z_log_var.npy", sealed=True),
    "sampler": _sampler("gaussian", densities.fit_gaussian),
    "second_stage": _sampler("two_stage", _second_stage),
    "vectors": _vectors,
    "description of an export": _description,
    "settings of another format": _format(formats.CONFIG),
    "facts of another format": _format(formats.VERIFIED),
    "recorded requests of an export": _recorded,
    "oracle": _search("oracle.json"),
    "trial": _search("trial.json"),
    "result": _search("result.json"),
    "flagfile": _flagfile,
}
_HOSTILE = {
    "nested": b"[" * 100_000,
    "nested objects": b'{"a":' * 100_000,
    "of another type": b"3",
    "empty": b"",
    "not UTF-8": b"\xff\xfe\x00",
    "a name twice": b'{"a": 1, "a": 2}',
    "a long number": b'{"a": ' + b"9" * 9_000 + b"}",
    "of zeros": bytes(1 << 20),
}


class ArtefactsTest(attacks.AttackTest, parameterized.TestCase):
    @parameterized.parameters(*_READERS)
    def test_mutated(self, kind):
        path, use = _READERS[kind](self.folder)
        use()
        refused = self.attack(path, lambda _: use(), attacks.COUNT // 2)
        self.assertGreater(refused, 0)

    @parameterized.parameters(*_READERS)
    def test_hostile(self, kind):
        path, use = _READERS[kind](self.folder)
        for what, data in _HOSTILE.items():
            attacks.write(path, data)
            refused = self.is_refused(use, f"{kind}: {what}")
            self.assertTrue(refused or kind in ("history", "flagfile"), what)
        os.remove(path)
        os.mkfifo(path)  # Whoever opened it would wait for ever.
        with limits.kept(seconds=5):
            self.is_refused(use, f"{kind}: a pipe")

    @parameterized.parameters(*_CONFIGS)
    def test_configs(self, config):
        path = _write_json(os.path.join(self.folder, "a"), attrs.asdict(config()))
        use = lambda _: documents.load(path, config, "settings", "")  # noqa: E731
        self.assertGreater(self.attack(path, use), attacks.COUNT // 4)

    def test_recorded_requests_that_are_too_large_unpacked(self):
        _, use = _recorded(self.folder)
        with (
            mock.patch.object(verify_export, "_MOST_RECORDED", 100),
            self.assertRaisesRegex(files.UserError, "compressed too much"),
        ):
            use()

    def test_a_flagfile_that_names_itself(self):
        path = os.path.join(self.folder, "some.flags")
        attacks.write(path, f"--flagfile={path}\n".encode())
        with self.assertRaisesRegex(files.UserError, "names itself"):
            program_lib.parse(train, [f"--flagfile={path}"])


if __name__ == "__main__":
    tf.test.main()
