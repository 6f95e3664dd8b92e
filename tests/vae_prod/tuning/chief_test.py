"""Tests for vae_prod.tuning.chief, its client and the worker's loop."""

import contextlib
import os
import socket
import threading
from unittest import mock

import keras_tuner
import tensorflow as tf
from tensorboard.backend.event_processing import event_accumulator

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.tuning import chief as chief_lib
from vae_prod.tuning import chief_client, oracles, trials, worker

_SEARCH = config_lib.SearchConfig(
    tuner="random",
    max_trials=6,
    max_epochs=1,
    search_z_dim=(1, 2, 3),
    search_filters=(),
    search_decoder=(),
)


class _Gone(Exception):
    pass


class ChiefTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.directory = self.create_tempdir().full_path
        self.ran = []

    def _oracle(self):
        hp = keras_tuner.HyperParameters()
        hp.Float("fact", 0.05, 20.0, sampling="log")
        hp.Choice("z_dim", [1, 2, 3])
        return oracles.make(_SEARCH, hp, 1, self.directory)

    def _chief(self, timeout=30.0):
        chief = chief_lib.Chief(self._oracle(), "127.0.0.1", 0, timeout)
        self.addCleanup(chief.stop)
        return chief

    def _run(self, plan):
        self.ran.append(plan.trial)
        return {"frechet": plan.values["fact"], "elbo": None}

    def _work(self, port, name, run=None, timeout=30.0):
        variables = {
            "KERASTUNER_TUNER_ID": name,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(port),
        }
        with mock.patch.dict(os.environ, variables):
            client = chief_client.connect(f"127.0.0.1:{port}", timeout)

        def work():
            with contextlib.suppress(_Gone):
                worker.work(
                    client,
                    name,
                    _SEARCH,
                    self.directory,
                    run or self._run,
                    during=lambda trial: chief_client.beating(client, trial, timeout),
                )

        thread = threading.Thread(target=work, name=name)
        thread.start()
        return thread

    def _completed(self):
        rows = trials.rows(self.directory)
        return [row.trial for row in rows if row.status == "completed"]

    def test_alone(self):
        ends = []
        worker.work(
            self._oracle(),
            "alone",
            _SEARCH,
            self.directory,
            self._run,
            on_end=lambda: ends.append(self._completed()[-1]),
        )
        self.assertEqual(self.ran, ["0", "1", "2", "3", "4", "5"])
        self.assertEqual(ends, self.ran)
        path = os.path.join(trials.directory(self.directory, "3"), "hparams")
        events = event_accumulator.EventAccumulator(path).Reload()
        self.assertIn("search/frechet", events.Tags()["tensors"])
        plugin = events.SummaryMetadata("_hparams_/session_start_info")
        self.assertEqual(plugin.plugin_data.plugin_name, "hparams")

    def test_two_workers_share_the_trials(self):
        chief = self._chief()
        threads = [self._work(chief.port, name) for name in ("worker_0", "worker_1")]
        chief.wait()
        for thread in threads:
            thread.join()
        self.assertCountEqual(self.ran, ["0", "1", "2", "3", "4", "5"])
        self.assertCountEqual(self._completed(), self.ran)

    def test_a_worker_gone_for_good_leaves_its_trial_to_the_others(self):
        chief = self._chief(timeout=1.5)

        def vanish(plan):
            self.ran.append(f"lost {plan.trial}")
            raise _Gone

        lost = self._work(chief.port, "worker_0", vanish, timeout=1.5)
        lost.join()
        thread = self._work(chief.port, "worker_1", timeout=1.5)
        chief.wait()
        thread.join()
        self.assertEqual(self.ran[0], "lost 0")
        self.assertCountEqual(self.ran[1:], ["0", "1", "2", "3", "4", "5"])

    def test_a_worker_that_is_silent_because_it_works_keeps_its_trial(self):
        chief = self._chief(timeout=1.0)
        ended = threading.Event()

        def long(plan):
            self.ran.append(plan.trial)
            if plan.trial == "0":
                ended.wait(2.5)
            return {"frechet": 1.0}

        thread = self._work(chief.port, "worker_0", long, timeout=1.0)
        chief.wait()
        thread.join()
        self.assertEqual(self.ran, ["0", "1", "2", "3", "4", "5"])

    def test_without_workers_it_ends(self):
        with self.assertRaisesRegex(files.UserError, "none was heard of for 0.2 s"):
            self._chief(timeout=0.2).wait()

    def test_a_port_in_use_is_refused(self):
        chief = self._chief()
        with self.assertRaisesRegex(files.UserError, "in use"):
            chief_lib.Chief(self._oracle(), "127.0.0.1", chief.port, 1.0)

    def test_no_chief(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with self.assertRaisesRegex(files.UserError, "none answered within 0.3 s"):
            self._work(port, "worker_0", timeout=0.3)

    def test_what_watch_raises_ends_the_wait(self):
        def watch():
            raise _Gone

        with self.assertRaises(_Gone):
            self._chief().wait(watch)
