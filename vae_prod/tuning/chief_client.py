"""A worker's connection to the chief of a search: gRPC, signs of life, errors."""

import contextlib
import threading
from collections.abc import Iterator

import grpc
from keras_tuner.src import protos
from keras_tuner.src.distribute import oracle_client

from pipelines import files
from vae_prod.tuning import chief_token

_BEATS_PER_TIMEOUT = 6
# A proxy of the web (http_proxy) doesn't reach a chief.
_DIRECT = [("grpc.enable_http_proxy", 0)]


def connect(address: str, timeout: float, token: str) -> oracle_client.OracleClient:
    """Connect a worker to the chief that KerasTuner's environment variables name.

    Args:
        address: The same as host:port, for people.
        timeout: Seconds to wait for the chief, now and at each later call.
        token: The search's.

    Raises:
        UserError: There is no chief.
    """
    channel = grpc.insecure_channel(address, _DIRECT)
    try:
        grpc.channel_ready_future(channel).result(timeout=timeout)
    except grpc.FutureTimeoutError as error:
        raise files.UserError(
            f"Expected a chief at {address}, none answered within {timeout:g} s. Start "
            "one there (KERASTUNER_TUNER_ID=chief), or mend KERASTUNER_ORACLE_IP and "
            "KERASTUNER_ORACLE_PORT."
        ) from error
    oracle_client.TIMEOUT = timeout
    client = oracle_client.OracleClient(None)
    channel = grpc.intercept_channel(channel, chief_token.Bearer(token))
    client.stub = protos.get_service_grpc().OracleStub(channel)
    return client


@contextlib.contextmanager
def beating(
    client: oracle_client.OracleClient, trial_id: str, timeout: float
) -> Iterator[None]:
    """Give the chief signs of life while a trial runs."""
    ended = threading.Event()

    def beat():
        while not ended.wait(timeout / _BEATS_PER_TIMEOUT):
            # The chief may be away for a while: the trial goes on.
            with contextlib.suppress(grpc.RpcError):
                client.get_trial(trial_id)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


@contextlib.contextmanager
def reaching(address: str) -> Iterator[None]:
    """Turn a chief that no longer answers into a `UserError`."""
    try:
        yield
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAUTHENTICATED:
            raise files.UserError(
                f"Expected the chief at {address} to be that of this search, it knows "
                "another token. Mend --search_dir, KERASTUNER_ORACLE_IP or "
                "KERASTUNER_ORACLE_PORT."
            ) from error
        raise files.UserError(
            f"Expected an answer of the chief at {address}, got {error.code().name}. "
            "Start it again with the same command, then this worker."
        ) from error
