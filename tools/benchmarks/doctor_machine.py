"""What tools.doctor asks this machine, and what it makes of the answers."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tools.benchmarks import this_machine
from vae_prod import config as config_lib
from vae_prod.core import nvidia, processor

_WANTED_TENSORFLOW = "2.21."
_BUSY = 0.5
_FEW_MB = 4000


@attrs.frozen
class Finding:
    """Something about the machine.

    Attributes:
        good: Whether there is nothing to do about it.
        text: What it is and, unless it is good, what to do.
    """

    good: bool
    text: str

    def line(self) -> str:
        """Return it for people."""
        mark = "  ok    " if self.good else "  note  "
        return textwrap.fill(
            self.text, 88, initial_indent=mark, subsequent_indent=" " * 8
        )


@attrs.frozen
class Facts:
    """What the machine says of itself.

    Attributes:
        machine: From `this_machine.facts`.
        cpu_flags: Of the first processor.
        quota_cores: Cores' worth of time that a container may use; 0: no limit.
        free_mb: Memory that can be had.
        accelerators: Names of the GPUs and TPUs that TensorFlow sees.
        driver: Whether an NVIDIA driver is loaded.
        no_native: Why the input op can't be had; empty: it can.
        onednn_off: Whether oneDNN's kernels are switched off.
    """

    machine: Mapping[str, Any]
    cpu_flags: Sequence[str] = ()
    quota_cores: float = 0.0
    free_mb: float = 0.0
    accelerators: Sequence[str] = ()
    driver: bool = False
    no_native: str = ""
    onednn_off: bool = False


def examine(cpu_only: bool, native: bool) -> Facts:
    """Ask the machine.

    Args:
        cpu_only: Whether accelerators are left alone.
        native: Whether the input op may be used.
    """
    import tensorflow as tf

    devices = [] if cpu_only else tf.config.list_physical_devices()
    details = [
        tf.config.experimental.get_device_details(device) | {"type": device.device_type}
        for device in devices
        if device.device_type != "CPU"
    ]
    return Facts(
        machine=this_machine.facts("tensorflow", "keras"),
        cpu_flags=processor.instruction_sets(),
        quota_cores=this_machine.quota_cores(),
        free_mb=this_machine.free_mb(),
        accelerators=[detail.get("device_name", detail["type"]) for detail in details],
        driver=nvidia.has_driver(),
        no_native=_why_no_native() if native else "--native=false was given.",
        onednn_off=processor.onednn_is_off(),
    )


def _why_no_native() -> str:
    from pipelines.reading.native import loader

    library = loader.library()
    return str(library) if isinstance(library, Exception) else ""


def findings(facts: Facts) -> list[Finding]:
    """Judge the machine."""
    machine = facts.machine
    version, cores = machine["packages"]["tensorflow"], machine["cores"]
    software = (
        f"TensorFlow {version}, Keras {machine['packages']['keras']}, "
        f"Python {machine['python']}"
    )
    if not version.startswith(_WANTED_TENSORFLOW):
        software += f": made for TensorFlow {_WANTED_TENSORFLOW}x; install that."
    judged = [Finding(version.startswith(_WANTED_TENSORFLOW), software)]
    judged.append(_device(facts))
    if 0 < facts.quota_cores < cores:
        judged.append(
            Finding(
                False,
                f"the container may use {facts.quota_cores:g} of {cores} cores: try "
                f"--cpu_threads={max(1, round(facts.quota_cores))}.",
            )
        )
    if facts.onednn_off:
        text = "oneDNN's kernels are switched off: unset TF_ENABLE_ONEDNN_OPTS."
        judged.append(Finding(False, text))
    native = "input op: built"
    if facts.no_native:
        native = f"input op: not to be had, reading is slower. {facts.no_native}"
    judged.append(Finding(not facts.no_native, native))
    memory = f"memory: {facts.free_mb:,.0f} of {machine['memory_mb']:,} MB free"
    if facts.free_mb < _FEW_MB:
        memory += ": if training ends abruptly, lower --batch_size."
    judged.append(Finding(facts.free_mb >= _FEW_MB, memory))
    load = machine["load_average"]
    busy = load > _BUSY * cores
    text = f"load {load:g} on {cores} cores"
    if busy:
        text += ": others use this machine, so all figures below are too low."
    return [*judged, Finding(not busy, text)]


def _device(facts: Facts) -> Finding:
    if facts.accelerators:
        return Finding(True, f"device: {', '.join(facts.accelerators)}")

    if unused := nvidia.unused(facts.driver, len(facts.accelerators)):
        return Finding(False, f"device: {unused}")
    text = f"device: {facts.machine['cores']} cores of {facts.machine['cpu']}"
    factor = config_lib.PRECISIONS["bfloat16"].slower_by(facts.cpu_flags)
    computed = "computes bfloat16"
    if factor:
        computed = f"emulates bfloat16, at about {factor} times float32's time"
    return Finding(True, f"{text}; no GPU; {computed}")
