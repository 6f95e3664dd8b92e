"""The chief of a search with several workers: hands out trials over gRPC.

KerasTuner's own chief waits for ever for a worker that is gone. This one listens for
signs of life: a worker asks for its trial again and again while it runs it, and one
that falls silent loses the trial to the others.
"""

import time
from collections.abc import Callable
from concurrent import futures

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_chief

from pipelines import files
from vae_prod.tuning import chief_token

_POLL_SECONDS = 0.5


class _Servicer(oracle_chief.OracleServicer):
    """Answers workers; knows when each was heard last and what went wrong."""

    def __init__(self, oracle):
        super().__init__(oracle)
        self.heard = {}
        self.error = None

    def CreateTrial(self, request, context):  # noqa: N802, gRPC's name.
        self.heard[request.tuner_id] = time.monotonic()
        response = self._answer(super().CreateTrial, request, context)
        if response.trial.status == protos.get_proto().TrialStatus.STOPPED:
            # It leaves.
            self.heard.pop(request.tuner_id)
        return response

    def GetTrial(self, request, context):  # noqa: N802
        self._known(request.trial_id, context)
        for worker, trial in list(self.oracle.ongoing_trials.items()):
            if trial.trial_id == request.trial_id:
                self.heard[worker] = time.monotonic()
        return self._answer(super().GetTrial, request, context)

    def UpdateTrial(self, request, context):  # noqa: N802
        self._known(request.trial_id, context)
        return self._answer(super().UpdateTrial, request, context)

    def EndTrial(self, request, context):  # noqa: N802
        self._known(request.trial.trial_id, context)
        return self._answer(super().EndTrial, request, context)

    def _known(self, trial_id, context):
        """End a call that asks for a trial there isn't; the search goes on."""
        if trial_id not in self.oracle.trials:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such trial")

    def _answer(self, method, request, context):
        try:
            return method(request, context)
        except Exception as error:
            self.error = error
            raise


class Chief:
    """Serves an oracle to workers.

    Args:
        oracle: The oracle, of this process alone.
        host: Where to listen.
        port: The port; 0: a free one.
        timeout: Seconds without a sign of life after which a worker is gone, and a
            search without workers ends.
        token: What workers must know.

    Attributes:
        port: The port that it listens at.

    Raises:
        UserError: The port can't be had.
    """

    def __init__(self, oracle, host: str, port: int, timeout: float, token: str):
        self._oracle = oracle
        self._timeout = timeout
        self._servicer = _Servicer(oracle)
        # One thread: the oracle's calls come one after the other. Without reuseport,
        # a port in use is refused, not shared.
        self._server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=1),
            interceptors=[chief_token.Guard(token)],
            options=[("grpc.so_reuseport", 0)],
        )
        protos.get_service_grpc().add_OracleServicer_to_server(
            self._servicer, self._server
        )
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError:
            self.port = 0
        if not self.port:
            raise files.UserError(
                f"Expected to listen at {host}:{port}, it is in use or not this "
                "machine's. Choose another --port (KERASTUNER_ORACLE_PORT), or end the "
                "search that has it."
            )
        self._server.start()

    def wait(self, watch: Callable[[], None] = lambda: None) -> None:
        """Serve until no trial is left and the workers have left, or are gone.

        Args:
            watch: Called again and again; what it raises ends the wait.

        Raises:
            UserError: No worker was heard of for the timeout, with trials left.
        """
        for worker in self._oracle.ongoing_trials:
            self._servicer.heard[worker] = time.monotonic()
        heard = time.monotonic()
        while True:
            time.sleep(_POLL_SECONDS)
            watch()
            if self._servicer.error:
                raise self._servicer.error
            self._release_silent()
            if self._servicer.heard:
                heard = time.monotonic()
            elif self._servicer.stop_triggered and not self._oracle.waiting():
                return
            elif time.monotonic() - heard > self._timeout:
                raise files.UserError(
                    f"Expected workers at port {self.port}, none was heard of for "
                    f"{self._timeout:g} s. What is finished is kept: start the search "
                    "again, with workers."
                )

    def _release_silent(self) -> None:
        latest = time.monotonic() - self._timeout
        silent = [w for w, when in list(self._servicer.heard.items()) if when < latest]
        for worker in silent:
            self._servicer.heard.pop(worker, None)
        if silent:
            self._oracle.release(silent)

    def forget(self, worker: str) -> None:
        """Give up a worker that is known to be gone for good."""
        self._servicer.heard.pop(worker, None)
        self._oracle.release([worker])

    def stop(self) -> None:
        """Stop serving."""
        self._server.stop(grace=1.0)
