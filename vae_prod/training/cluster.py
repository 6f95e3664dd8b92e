"""The workers of a run: processes that know each other's addresses.

Who they are is told by flags, by `TF_CONFIG` (as TensorFlow's multi-worker training
and Kubernetes' operators set it), or by SLURM. TensorFlow's collective operations
bring values from each to all; where one is gone they fail on the others.
"""

import functools
import json
import os
import re

import attrs
import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.optim import exchange

# TensorFlow's name of all workers together.
_GROUP = 1
_ADDRESS = re.compile(r"[^\s:/]+:[0-9]{1,5}|\[[0-9a-fA-F:]+\]:[0-9]{1,5}")


@attrs.frozen
class Cluster:
    """The workers of a run.

    Attributes:
        addresses: HOST:PORT of each, in the same order everywhere; the first is the
            chief.
        index: Which of them this process is.
    """

    addresses: tuple[str, ...]
    index: int

    def __attrs_post_init__(self) -> None:
        wrong = [a for a in self.addresses if not _ADDRESS.fullmatch(a)]
        if wrong or len(set(self.addresses)) < len(self.addresses):
            raise files.UserError(
                "Expected different addresses HOST:PORT of the workers, received "
                f"{','.join(self.addresses)[:200]}; mend --cluster or TF_CONFIG."
            )
        if not 0 <= self.index < len(self.addresses):
            raise files.UserError(
                f"Expected a worker's number from 0 to {len(self.addresses) - 1}, "
                f"received {self.index}; mend --worker or TF_CONFIG."
            )


def find(addresses: tuple[str, ...] = (), index: int = -1) -> Cluster:
    """Find out who the workers are: by flags, TF_CONFIG or SLURM's variables.

    Args:
        addresses: Of --cluster; empty: not given.
        index: Of --worker.

    Raises:
        UserError: Nothing says so, or what does can't be understood.
    """
    if addresses:
        return Cluster(addresses, index)
    if text := os.environ.get("TF_CONFIG"):
        return _from_tf_config(text)
    if "SLURM_PROCID" in os.environ:
        return _from_slurm()
    raise files.UserError(
        "Expected --cluster and --worker, TF_CONFIG or SLURM's variables for "
        "--strategy=multi_worker, found none; give --cluster=HOST:PORT,HOST:PORT and "
        "--worker=N to each worker, or start them with tools.launch."
    )


def _from_tf_config(text: str) -> Cluster:
    try:
        config = json.loads(text)
        named = config["cluster"]
        task = config["task"]
        chiefs, workers = named.get("chief", []), named["worker"]
        index = int(task["index"])
        if task["type"] == "worker":
            index += len(chiefs)
        elif task["type"] != "chief":
            raise ValueError(f"a task of type {task['type']!r}")
        return Cluster((*chiefs, *workers), index)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise files.UserError(
            "Expected TF_CONFIG to hold cluster.worker, task.type and task.index, it "
            f"doesn't ({type(error).__name__}: {error}); mend it, or give --cluster "
            "and --worker."
        ) from error


def _from_slurm() -> Cluster:
    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            auto_set_gpu=False
        )
        workers = resolver.cluster_spec().as_dict()["worker"]
        return Cluster(tuple(workers), resolver.get_task_info()[1])
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise files.UserError(
            f"Expected SLURM to name the workers, it doesn't ({error}); give --cluster "
            "and --worker."
        ) from error


def join(cluster: Cluster, config: config_lib.TrainConfig) -> exchange.Exchange:
    """Meet the other workers; before TensorFlow runs anything else.

    Args:
        cluster: Who they are.
        config: Uses `microbatches` and `step_timeout`.

    Raises:
        UserError: The microbatches can't be shared, or TensorFlow runs already.
    """
    count = len(cluster.addresses)
    gather = functools.partial(_gather, count, config.step_timeout)
    joined = exchange.Exchange(config.microbatches, cluster.index, count, gather=gather)
    task = {"type": "worker", "index": cluster.index}
    os.environ["TF_CONFIG"] = json.dumps(
        {"cluster": {"worker": cluster.addresses}, "task": task}
    )
    try:
        # It starts this process's server and watches whether the others live.
        _watching.append(tf.distribute.MultiWorkerMirroredStrategy())
    except (RuntimeError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise files.UserError(
            f"Expected to meet the workers {', '.join(cluster.addresses)}, it failed "
            f"({reason}); mend --cluster, or start all workers."
        ) from error
    return joined


_watching: list[tf.distribute.Strategy] = []


def _gather(count: int, timeout: float, values: tf.Tensor) -> tf.Tensor:
    """Return the values of all workers, float32 [count, N], of float32 [N]."""
    gathered = tf.raw_ops.CollectiveGatherV2(
        input=values[None],
        group_size=count,
        group_key=_GROUP,
        instance_key=values.shape[0],  # An instance has one shape for ever.
        ordering_token=[],
        communication_hint="auto",
        timeout_seconds=timeout,
    )
    return tf.ensure_shape(gathered, [count, *values.shape])
