"""Where the time of a train step goes: operations of a profiler trace, by their work.

TensorFlow's profiler writes the trace, and its own protocol buffer reads it. On a CPU
an operation's time is that of the thread it was begun on; on a GPU that of its kernels.
Compiled steps tell the operation that each of XLA's kernels was made for: where several
were merged, the last of them.
"""

import collections
import glob
import os
import re
import tempfile
from collections.abc import Callable, Iterator

import tensorflow as tf
from tensorflow.compiler.xla.service import hlo_pb2
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tools.benchmarks import step_figures

WAITING, INPUT, COMPILED, OTHER = "waiting", "input", "compiled", "other"
# What an operation works at, by the first of these to be found in "name:type", without
# the scopes that all have. Layers' names end in what they do (`up1_conv`, `up1_norm`);
# gradients are named after the layer, or have no name but their type. Before the names
# of compiled operations stands the function that was compiled (`a_inference_...`).
_RULES = (
    # With the norms and checks of gradients, and what is done on condition of them.
    (
        "optimizer",
        r"(^|/)(adam|loss_scale_optimizer|cond)\w*/|:(ResourceApply|L2Loss|IsFinite|All$)",
    ),
    ("convolutions", r":.*Conv2D|_conv\w*/|_upsampling\w*/"),
    ("activation", r":LeakyRelu|_activation\w*/|leaky_relu[\w.]*/"),
    ("normalisation", r":FusedBatchNorm|_norm\w*/"),
    ("dense", r":.*MatMul|(^|/)(dense|z_mean|z_log_var|flatten|reshape)\w*/"),
    # Noise, likelihood, KL, metrics, scaled images: what the step does outside layers.
    (
        "loss",
        r"(^|/)(logistic_loss|sampling)\w*/"
        r"|^(a_inference_[\w.]+/)?(gradient_tape/)?[^/]*(/unary_ops_composition)?:",
    ),
)
GROUPS = (*(group for group, _ in _RULES), INPUT, WAITING, COMPILED, OTHER)

_SCOPES = re.compile(r"^(StatefulPartitionedCall(_\d+)?/|while/body/\w+/)*")
# How oneDNN and TensorFlow's graph optimizer name their variants of an operation.
_VARIANT = re.compile(r"^_(Mkl)?(Native)?(Fused(?=Conv|MatMul))?|WithBias$")
# They last as long as the operations they consist of, which count themselves.
_CONTAINERS = re.compile(
    r"^_?(Stateful)?PartitionedCall$|^_?(Stateless)?(If|While|Case)$|^_?Xla|"
    r"^IteratorGetNext|^ToSingleElement$|^(call|while|conditional)$"
)
_WAIT = "IteratorGetNextOp::DoCompute"
_DATA_THREADS = "tf_data_"


def trace(
    call: Callable[[], None], calls: int, steps_of_a_call: int = 1
) -> list[step_figures.Operation]:
    """Trace some steps; return their operations, the longest first."""
    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0
    )
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder, options)
        try:
            for _ in range(calls):
                call()
        finally:
            tf.profiler.experimental.stop()
        (name,) = glob.glob("plugins/profile/*/*.xplane.pb", root_dir=folder)
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            space = xplane_pb2.XSpace.FromString(file.read())
    return operations(space, calls * steps_of_a_call)


def operations(space: xplane_pb2.XSpace, steps: int) -> list[step_figures.Operation]:
    """Sum up a trace of some steps; the longest first.

    Times on devices count where there are any, else those of the host's threads.
    """
    compiled = _compiled_names(space)
    devices = [plane for plane in space.planes if plane.name.startswith("/device:GPU")]
    hosts = [plane for plane in space.planes if plane.name == "/host:CPU"]
    times = collections.Counter()
    for plane in devices or hosts:
        for key, picoseconds in _events(plane, compiled):
            times[key] += picoseconds
    if devices:  # Their batches are made by the host, beside them.
        for plane in hosts:
            for key, picoseconds in _events(plane, compiled):
                if key[0] in (INPUT, WAITING):
                    times[key] += picoseconds
    return [
        step_figures.Operation(group, kind, picoseconds / 1e9 / steps)
        for (group, kind), picoseconds in times.most_common()
    ]


def group_of(name: str, kind: str) -> str:
    """Say what an operation works at, by its name and type."""
    full = f"{_SCOPES.sub('', name)}:{kind}"
    return next((group for group, rule in _RULES if re.search(rule, full)), OTHER)


def _compiled_names(space) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what XLA made its kernels of: (module, kernel) to (name, type)."""
    names = {}
    for plane in space.planes:
        if plane.name != "/host:metadata":
            continue
        protos = (s.bytes_value for e in plane.event_metadata.values() for s in e.stats)
        for proto in filter(None, protos):
            module = hlo_pb2.HloProto.FromString(proto).hlo_module
            for computation in module.computations:
                for instruction in computation.instructions:
                    made_of = instruction.metadata
                    kind = made_of.op_type or instruction.opcode
                    names[module.name, instruction.name] = (made_of.op_name, kind)
    return names


def _events(plane, compiled) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield ((group, type), picoseconds) of what a plane's operations took."""
    for line in plane.lines:
        # Other lines of a device repeat its streams in another form.
        if plane.name.startswith("/device:") and not line.name.startswith("Stream"):
            continue
        of_data = line.name.startswith(_DATA_THREADS)
        for event in line.events:
            if key := _key(plane, event, of_data, compiled):
                yield key, event.duration_ps


def _key(plane, event, of_data: bool, compiled) -> tuple[str, str] | None:
    """Return (group, type) of an event, None unless it is an operation's."""
    metadata = plane.event_metadata[event.metadata_id]
    if metadata.name == _WAIT:
        return WAITING, "IteratorGetNext"
    stats = {plane.stat_metadata[s.metadata_id].name: s for s in event.stats}
    if "hlo_op" in stats:
        return _compiled_key(plane, stats, compiled)
    full = _text(plane, stats["tf_op"]) if "tf_op" in stats else metadata.name
    name, colon, kind = full.rpartition(":")
    known = kind == metadata.display_name or "tf_op" in stats
    if not (colon and known) or _CONTAINERS.search(kind):
        return None
    kind = _VARIANT.sub("", kind)
    return (INPUT, kind) if of_data else (group_of(name, kind), kind)


def _compiled_key(plane, stats, compiled) -> tuple[str, str] | None:
    operation = _text(plane, stats["hlo_op"])
    module = _text(plane, stats["hlo_module"]) if "hlo_module" in stats else ""
    name, kind = compiled.get(
        (module, operation), ("", operation.rstrip(".0123456789"))
    )
    if _CONTAINERS.search(kind):
        return None
    if name:
        return group_of(f"{module}/{name}", kind), kind
    # Kernels of XLA's own making don't say what for.
    return ("convolutions" if kind == "convolution" else COMPILED), kind


def _text(plane, stat) -> str:
    """Return the text of a statistic, which may stand in the plane's own table."""
    if stat.WhichOneof("value") == "ref_value":
        return plane.stat_metadata[stat.ref_value].name
    return stat.str_value
