"""The precision of a run: what the device computes by itself, and what it emulates."""

import attrs
import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.core import processor
from vae_prod.optim import exchange as exchange_lib
from vae_prod.training import workers

_NAMES = tuple(config_lib.PRECISIONS)


def is_native(name: str, cpu_only: bool = False) -> bool:
    """Say whether the device has units for a precision.

    Args:
        name: Of `config.PRECISIONS`.
        cpu_only: Whether GPUs and TPUs are left alone.
    """
    return not emulation(name, cpu_only)


def _accelerators(cpu_only: bool) -> list[tf.config.PhysicalDevice]:
    """Return GPUs and TPUs, those too that a search's chief leaves to its workers."""
    devices = [] if cpu_only else tf.config.list_physical_devices()
    return [device for device in devices if device.device_type != "CPU"]


def _has_units(device, precision: config_lib.Precision) -> bool:
    if device.device_type != "GPU":  # TPUs: for bfloat16.
        return precision is not config_lib.PRECISIONS["float16"]
    details = tf.config.experimental.get_device_details(device)
    capability = details.get("compute_capability", precision.compute_capability)
    return tuple(capability) >= precision.compute_capability


def emulation(name: str, cpu_only: bool = False) -> str:
    """Say, in a line, that the device emulates a precision; empty: it doesn't.

    Args:
        name: Of `config.PRECISIONS`.
        cpu_only: Whether GPUs and TPUs are left alone.
    """
    precision = config_lib.PRECISIONS[name]
    if devices := _accelerators(cpu_only):
        if all(_has_units(device, precision) for device in devices):
            return ""
        return f"this device has no units for {name}; try --mixed_precision=float32"
    factor = precision.slower_by(processor.instruction_sets())
    if not factor:
        return ""
    return (
        f"this processor emulates {name}: steps take about {factor} times as long as "
        "with --mixed_precision=float32"
    )


def resolve(
    config: config_lib.TrainConfig,
    recorded: config_lib.TrainConfig | None = None,
    exchange: exchange_lib.Exchange = exchange_lib.ALONE,
) -> config_lib.TrainConfig:
    """Decide `--mixed_precision=auto`, once for a run and all of its workers.

    It is what the run began with where there is a record; else bfloat16 where the
    device of this process, among workers that of the chief, has units for it.

    Args:
        config: How a run is trained.
        recorded: The same as its directory holds it; None: it begins.
        exchange: With the other workers.

    Returns:
        The config with a precision of `config.PRECISIONS`.

    Raises:
        UserError: The workers were given different precisions.
    """
    name = config.mixed_precision
    if name == config_lib.AUTO:
        best = "bfloat16" if is_native("bfloat16", config.cpu_only) else "float32"
        name = recorded.mixed_precision if recorded else best
    of_chief = _of_chief(name, exchange)
    if config.mixed_precision not in (config_lib.AUTO, of_chief):
        raise files.UserError(
            f"Expected --mixed_precision={of_chief}, the chief's, on all workers, "
            f"received {config.mixed_precision}. Give all of them the same."
        )
    return attrs.evolve(config, mixed_precision=of_chief)


def _of_chief(name: str, exchange: exchange_lib.Exchange) -> str:
    if exchange.workers == 1:
        return name
    with workers.others(exchange):
        number = tf.Variable(_NAMES.index(name), trainable=False)
        workers.share(exchange, [number])
    return _NAMES[int(number)]
