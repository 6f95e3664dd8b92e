"""Tests for vae_prod.tuning.chief, its client and the worker's loop."""

import contextlib
import os
import socket
import stat
import threading
from unittest import mock

import grpc
import keras_tuner
import tensorflow as tf
from absl.testing import parameterized
from tensorboard.backend.event_processing import event_accumulator

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.tuning import chief as chief_lib
from vae_prod.tuning import chief_client, chief_token, oracles, trials, worker

_SEARCH = config_lib.SearchConfig(
    tuner="random",
    max_trials=6,
    max_epochs=1,
    search_z_dim=(1, 2, 3),
    search_filters=(),
    search_decoder=(),
)


_TOKEN = "secret"


class _Gone(Exception):
    pass


class ChiefTest(tf.test.TestCase, parameterized.TestCase):
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
        self.oracle = self._oracle()
        chief = chief_lib.Chief(self.oracle, "127.0.0.1", 0, timeout, _TOKEN)
        self.addCleanup(chief.stop)
        return chief

    def _run(self, plan):
        self.ran.append(plan.trial)
        return {"frechet": plan.values["fact"], "elbo": None}

    def _client(self, port, name="worker_0", timeout=30.0, token=_TOKEN):
        variables = {
            "KERASTUNER_TUNER_ID": name,
            "KERASTUNER_ORACLE_IP": "127.0.0.1",
            "KERASTUNER_ORACLE_PORT": str(port),
        }
        with mock.patch.dict(os.environ, variables):
            return chief_client.connect(f"127.0.0.1:{port}", timeout, token)

    def _work(self, port, name, run=None, timeout=30.0):
        client = self._client(port, name, timeout)

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
            chief_lib.Chief(self._oracle(), "127.0.0.1", chief.port, 1.0, _TOKEN)

    def test_no_chief(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        with self.assertRaisesRegex(files.UserError, "none answered within 0.3 s"):
            self._work(port, "worker_0", timeout=0.3)

    @parameterized.parameters("", "secre", "another", "secret ")
    def test_who_lacks_the_token_is_refused_and_the_search_goes_on(self, token):
        chief = self._chief()
        stranger = self._client(chief.port, token=token)
        trial = keras_tuner.engine.trial.Trial(self.oracle.hyperparameters)
        for call in (
            stranger.get_space,
            lambda: stranger.update_space(self.oracle.hyperparameters),
            lambda: stranger.create_trial("worker_0"),
            lambda: stranger.get_trial("0"),
            lambda: stranger.update_trial("0", {}),
            lambda: stranger.end_trial(trial),
            stranger.get_best_trials,
        ):
            with (
                self.assertRaisesRegex(files.UserError, "it knows another token"),
                chief_client.reaching("there"),
            ):
                call()
        self.assertEmpty(self.oracle.trials)
        self.assertIsNone(chief._servicer.error)

    def test_an_unknown_trial_is_not_found_and_the_search_goes_on(self):
        chief = self._chief()
        client = self._client(chief.port)
        trial = keras_tuner.engine.trial.Trial(self.oracle.hyperparameters, "nope")
        for call in (
            lambda: client.get_trial("nope"),
            lambda: client.update_trial("nope", {}),
            lambda: client.end_trial(trial),
        ):
            with self.assertRaisesRegex(grpc.RpcError, "NOT_FOUND"):
                call()
        thread = self._work(chief.port, "worker_1")
        chief.wait()
        thread.join()
        self.assertLen(self._completed(), 6)

    def test_listens_at_the_address_asked_for_alone(self):
        port = self._chief().port
        with socket.create_connection(("127.0.0.1", port)):
            pass
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port))

    def test_a_proxy_does_not_hide_it(self):
        port = self._chief().port
        proxy = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "", "NO_PROXY": ""}
        with mock.patch.dict(os.environ, proxy):
            client = self._client(port, timeout=5.0)
            self.assertEqual(client.create_trial("worker_0").trial_id, "0")

    def test_the_token_is_in_the_search_directory(self):
        with self.assertRaisesRegex(files.UserError, "Start the chief first"):
            chief_token.read(self.directory)
        token = chief_token.make(self.directory)
        path = os.path.join(self.directory, "token")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(chief_token.make(self.directory), token)
        self.assertEqual(chief_token.read(self.directory), token)
        os.chmod(path, 0o666)  # Anyone may have written it.
        self.assertNotEqual(chief_token.make(self.directory), token)

    def test_what_watch_raises_ends_the_wait(self):
        def watch():
            raise _Gone

        with self.assertRaises(_Gone):
            self._chief().wait(watch)
