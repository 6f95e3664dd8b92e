"""What tools.doctor measures, each in a fresh process: reading, and train steps."""

import os

import attrs

from pipelines import config as data_config_lib
from tools import program
from tools.benchmarks import doctor_report, measuring

_WARMUP_SECONDS = 0.3
_READ_SECONDS = 1.2
_STEP_SECONDS = 1.0
_STEP_ROUNDS = 3


def prepare_reading(
    data_dir: str, data_config: data_config_lib.DataConfig, pipelines: tuple[str, ...]
) -> measuring.Work:
    """Load TensorFlow; return what measures how fast images are read.

    Args:
        data_dir: A converted data set.
        data_config: How training will read it.
        pipelines: `op`, `twin` or both.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    program.import_tensorflow()
    from pipelines import shards
    from tools.benchmarks import input_cases

    batch_size = data_config.batch_size
    in_order = data_config_lib.DataConfig(batch_size=batch_size, shuffle="none")
    as_trained = attrs.evolve(data_config, cache="none")

    def rate(pipeline: str, config=in_order) -> float:
        times = (_WARMUP_SECONDS, _READ_SECONDS)
        setting = input_cases.Setting(
            *(pipeline, data_dir, "uint8", False, batch_size, 1, *times, config)
        )
        return input_cases.measure(setting, 0.0).images_per_second

    def work() -> doctor_report.Reading:
        return doctor_report.Reading(
            records=rate("records"),
            decoded={name: rate(name) for name in pipelines},
            augmented={name: rate(name, as_trained) for name in pipelines},
            encoding=shards.load_manifest(data_dir).record.encoding,
        )

    return work


def prepare_step(**setting) -> measuring.Work:
    """Load TensorFlow; return what measures a train step.

    Args:
        **setting: Of a `step_cases.Setting`, with a data set.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    program.import_tensorflow()
    from tools.benchmarks import step_cases
    from vae_prod.training import devices

    def work() -> doctor_report.StepRates:
        devices.set_up(setting["train_config"])
        read = step_cases.Setting(**setting)
        in_memory = attrs.evolve(read, data_dir="")
        step = step_cases.Step(in_memory)
        sources = [step.batches(one) for one in (in_memory, read)]
        first_seconds = step.seconds(sources[0])
        seconds = [step.seconds(batches) for batches in sources]  # Warmed up.
        steps = step.at_once * max(1, int(_STEP_SECONDS / min(seconds)))
        # By turns, and the fastest counts: what else the machine does only disturbs.
        rounds = [
            [step.rate(batches, steps) for batches in sources]
            for _ in range(_STEP_ROUNDS)
        ]
        rates = map(max, zip(*rounds, strict=True))
        return doctor_report.StepRates(*rates, first_seconds)

    return work
