"""The model: variational autoencoders, their training, sampling and export.

What is public is listed here, and imported when it is first used: importing the
package costs nothing.
"""

import importlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # For type checkers and editors.
    from vae_prod.api import evaluate as evaluate
    from vae_prod.api import export as export
    from vae_prod.api import load_export as load_export
    from vae_prod.api import load_run as load_run
    from vae_prod.api import sample as sample
    from vae_prod.api import train as train
    from vae_prod.config import ModelConfig as ModelConfig
    from vae_prod.config import TrainConfig as TrainConfig
    from vae_prod.evaluation.evaluation_file import Evaluation as Evaluation
    from vae_prod.evaluation.measurements import (
        EvaluationSettings as EvaluationSettings,
    )
    from vae_prod.evaluation.subject import Subject as Subject
    from vae_prod.model.vae import VAE as VAE

# Public name to where it is defined.
PUBLIC = {
    "VAE": "model.vae.VAE",
    "Evaluation": "evaluation.evaluation_file.Evaluation",
    "EvaluationSettings": "evaluation.measurements.EvaluationSettings",
    "ModelConfig": "config.ModelConfig",
    "Subject": "evaluation.subject.Subject",
    "TrainConfig": "config.TrainConfig",
    "evaluate": "api.evaluate",
    "export": "api.export",
    "load_export": "api.load_export",
    "load_run": "api.load_run",
    "sample": "api.sample",
    "train": "api.train",
}


def __getattr__(name: str):
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "tensorflow" not in sys.modules:
        importlib.import_module(f"{__name__}.core.processor").use_onednn()
    module, _, attribute = PUBLIC[name].rpartition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted(PUBLIC)
