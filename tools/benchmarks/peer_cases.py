"""Train steps of another library, in the Python of an environment that has it."""

import importlib.resources
import json
import math
import subprocess
from typing import Any

from pipelines import files
from tools.benchmarks import measuring, step_figures
from vae_prod import config as config_lib

# Names of libraries; each has a program `peer_NAME.py` here.
PEERS = ("torch",)


def check(peer: str, python: str) -> None:
    """Refuse an environment without the library.

    Raises:
        UserError: Naming the flag.
    """
    try:
        command = [python, "-c", f"import {peer}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        why = _last_words(done)
    except OSError as error:
        why = str(error)
    if why:
        raise files.UserError(
            f"Expected a Python that has {peer} as --peer_python, received {python}: "
            f"{why}. Install {peer} there, or name another."
        )


def _last_words(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program that failed said last; empty: it didn't fail."""
    last = done.stderr.strip().rpartition("\n")[2]
    return (last or f"exit code {done.returncode}") if done.returncode else ""


def settings(
    config: config_lib.ModelConfig,
    precision: str,
    compiled: bool,
    batch_size: int,
    warmup_steps: int,
    steps: int,
) -> dict[str, Any]:
    """Return what a peer's program is told, as JSON values.

    Args:
        config: The model: its images, levels, decoder, z_dim and fact are followed.
        precision: Of the maps, such as `float32`.
        compiled: Whether the library's compiler is used.
        batch_size: Images in a batch.
        warmup_steps: Steps after the first before anything counts.
        steps: Steps that count.
    """
    return {
        "image_shape": config.image_shape,
        "levels": list(
            zip(
                config.filters,
                config.level_kernel_sizes,
                config.level_strides,
                strict=True,
            )
        ),
        "shrinks_by": math.prod(config.level_strides),
        "decoder_filters": config.level_decoder_filters,
        "decoder": config.decoder,
        "z_dim": config.z_dim,
        "fact": config.fact,
        "precision": precision,
        "compiled": compiled,
        "batch_size": batch_size,
        "warmup_steps": warmup_steps,
        "steps": steps,
    }


def prepare(peer: str, python: str, told: dict[str, Any]) -> measuring.Work:
    """Return what measures a step of another library in a process of its own."""
    program = importlib.resources.files("tools.benchmarks") / f"peer_{peer}.py"

    def work() -> step_figures.Figures:
        done = subprocess.run(
            [python, str(program)],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            check=False,
        )
        if why := _last_words(done):
            raise files.UserError(
                f"Expected {peer} to take a step, it failed: {why}. Leave out its "
                "precision or mode, or mend its environment."
            )
        return step_figures.Figures(**json.loads(done.stdout), operations=())

    return work
