"""Settings of the model, of its training and of a search for better ones.

Each field carries its default, its allowed values and its help text once; the
programs generate their flags from the fields. Nothing here imports TensorFlow, so
``--help`` stays instant.
"""

from vae_prod.config.decoders import DECODERS
from vae_prod.config.divergences import DIVERGENCES, KL, MMD
from vae_prod.config.extractors import EXTRACTORS, JUDGE_HELP
from vae_prod.config.likelihoods import LIKELIHOODS
from vae_prod.config.model import ACTIVATIONS, ModelConfig
from vae_prod.config.precisions import AUTO, PRECISIONS, Precision
from vae_prod.config.schedules import FACT_SCHEDULES, LEARNING_RATE_SCHEDULES
from vae_prod.config.search import OBJECTIVES, SearchConfig, check_space
from vae_prod.config.train import (
    TrainConfig,
    check_precision,
    check_steps,
    may_change,
    unfinished,
)

__all__ = [
    "ACTIVATIONS",
    "AUTO",
    "DECODERS",
    "DIVERGENCES",
    "EXTRACTORS",
    "FACT_SCHEDULES",
    "JUDGE_HELP",
    "KL",
    "LEARNING_RATE_SCHEDULES",
    "LIKELIHOODS",
    "MMD",
    "OBJECTIVES",
    "PRECISIONS",
    "ModelConfig",
    "Precision",
    "SearchConfig",
    "TrainConfig",
    "check_precision",
    "check_space",
    "check_steps",
    "may_change",
    "unfinished",
]
