"""Find out in about a minute how to train fast on this machine.

    python -m tools.doctor [--recipe=celeba_96] [--data_dir=RECORDS]

It looks at the machine, measures reading, decoding, augmentation and the train step
apart and together, in the precisions and modes that make sense here, and says which
is the bottleneck, how long an epoch takes and which flags to use. Without --data_dir
the built-in faces are drawn into a temporary folder. It takes the flags of tools.train;
--mixed_precision and --jit_compile are what it finds out.
"""

import contextlib
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping

import attrs

from pipelines import config as data_config_lib
from pipelines import files
from tools import flags, program, progress
from tools.benchmarks import (
    doctor_cases,
    doctor_machine,
    doctor_report,
    measuring,
    results,
)
from vae_prod import config as config_lib

DECODERS = tuple(config_lib.DECODERS)

_NUM_FACES = 1024
_FACE_SHARDS = 4
# At least so many batches are drawn; a fifth goes to other splits.
_BATCHES_DRAWN = 2

_Steps = dict[doctor_report.StepCase, doctor_report.StepRates]


def define(values):
    """Define this program's flags."""
    flags.add(
        values,
        "data_dir",
        "",
        f"Converted data set; empty: {_NUM_FACES:,} built-in faces, drawn into a "
        "temporary folder.",
    )
    text = "Height and width of the drawn faces."
    flags.add(values, "image_size", 96, text, least=1, most=8192)
    flags.add(values, "out", "", "JSON file for all figures; empty: none.")
    flags.add(
        values,
        "all",
        False,
        "Try everything: both decoders, emulated precisions, jit too (some minutes).",
    )
    flags.define(
        values,
        config_lib.ModelConfig,
        config_lib.TrainConfig,
        data_config_lib.DataConfig,
    )


def main(values):
    """Examine, and say what to do."""
    train_config = flags.build(values, config_lib.TrainConfig)
    data_config = flags.build(values, data_config_lib.DataConfig)
    if values.out:
        results.check_writable(values.out)
    program.import_tensorflow()  # Not before: --help has answered by now.
    facts = doctor_machine.examine(values.cpu_only, values.native != "false")
    lines = [finding.line() for finding in doctor_machine.findings(facts)]
    print("\n".join(["this machine", *lines, ""]), flush=True)
    with _data(values) as data_dir:
        model_config = _model_config(values, data_dir, data_config)
        settings = {
            case: _setting(case, model_config, train_config, data_config, data_dir)
            for case in _step_cases(values, train_config, bool(facts.accelerators))
        }
        reading, steps = _measure(data_dir, data_config, facts, settings)
    print(doctor_report.reading_table(reading), end="\n\n")
    print(doctor_report.steps_table(steps), end="\n\n", flush=True)
    _check_any_ran(steps, values.decoder)
    if not facts.accelerators and not values.all:
        emulated = [n for n in config_lib.PRECISIONS if n not in _native(values)]
        left_out = ", ".join(["jit", *emulated])
        print(f"not tried, being slower on this processor: {left_out} (--all does)")
    verdict = doctor_report.judge(
        reading, steps, values.decoder, shares_cores=not facts.accelerators
    )
    print(doctor_report.verdict_text(verdict))
    if values.out:
        content = {
            "facts": facts,
            "settings": {name: values[name].value for name in values},
            "reading": reading,
            "steps": [attrs.asdict(c) | attrs.asdict(r) for c, r in steps.items()],
            "verdict": verdict,
        }
        results.save(values.out, content)


@contextlib.contextmanager
def _data(values) -> Iterator[str]:
    """Give the folder of the data set to read."""
    from tools.benchmarks import input_cases

    with tempfile.TemporaryDirectory() as folder:
        if values.data_dir:
            yield values.data_dir
            return
        try:
            config = data_config_lib.ConvertConfig(
                image_size=values.image_size,
                limit=max(_NUM_FACES, _BATCHES_DRAWN * values.batch_size),
                shards=_FACE_SHARDS,
            )
        except ValueError as error:
            raise flags.UsageError(f"Flag refused: {error.args[0]}") from error
        yield input_cases.draw(os.path.join(folder, "faces"), config)


def _model_config(values, data_dir: str, data_config) -> config_lib.ModelConfig:
    """Return the model for the images there are, at least a batch of them."""
    from pipelines import shards
    from pipelines.reading import dataset

    manifest = shards.load_manifest(data_dir)
    dataset.steps_per_epoch(manifest, data_config)
    shape = dataset.image_shape(manifest, data_config)
    return flags.build(values, config_lib.ModelConfig, image_shape=shape)


def _step_cases(
    values, train_config: config_lib.TrainConfig, accelerator: bool
) -> list[doctor_report.StepCase]:
    """Return what is worth trying here, the plainest first."""
    everything = accelerator or values.all
    others = [name for name in DECODERS if name != values.decoder and values.all]
    precisions = config_lib.PRECISIONS if everything else _native(values)
    jits = (False, True) if everything and not train_config.deterministic else (False,)
    combinations = itertools.product([values.decoder, *others], precisions, jits)
    return [doctor_report.StepCase(*case) for case in combinations]


def _native(values) -> list[str]:
    """Return the precisions that the device computes by itself."""
    from vae_prod.training import precision

    names = config_lib.PRECISIONS
    return [name for name in names if precision.is_native(name, values.cpu_only)]


def _setting(
    case: doctor_report.StepCase, model_config, train_config, data_config, data_dir: str
) -> dict:
    """Return the arguments of a `step_cases.Setting`."""
    return {
        "model": "ours",
        "model_config": attrs.evolve(model_config, decoder=case.decoder),
        "train_config": attrs.evolve(
            train_config,
            mixed_precision=case.precision,
            jit_compile="true" if case.jit else "false",
        ),
        "data_config": attrs.evolve(data_config, cache="none"),
        "data_dir": data_dir,
    }


def _measure(
    data_dir: str,
    data_config: data_config_lib.DataConfig,
    facts: doctor_machine.Facts,
    settings: Mapping[doctor_report.StepCase, dict],
) -> tuple[
    doctor_report.Reading, dict[doctor_report.StepCase, doctor_report.StepRates]
]:
    """Measure reading, then each step."""
    arguments = {
        "data_dir": data_dir,
        "data_config": data_config,
        "pipelines": ("twin",) if facts.no_native else ("op", "twin"),
    }
    case = measuring.Case("reading", doctor_cases.prepare_reading, arguments)
    with progress.Progress("measurements", line_seconds=5.0) as show:
        total = 1 + len(settings)
        show(0, total)
        reading = measuring.run(case).result
        steps = {}
        for case, setting in settings.items():
            show(1 + len(steps), total)
            steps[case] = _measure_step(case, setting)
        show(total, total)
    return reading, steps


def _measure_step(
    step: doctor_report.StepCase, setting: dict
) -> doctor_report.StepRates:
    """Measure a step; a combination that can't be had is no reason to stop."""
    import tensorflow as tf

    case = measuring.Case(step.name, doctor_cases.prepare_step, setting)
    try:
        return measuring.run(case).result
    except (files.UserError, tf.errors.OpError) as error:
        return doctor_report.StepRates(failed=str(error).splitlines()[0])


def _check_any_ran(steps: _Steps, decoder: str) -> None:
    """Refuse to conclude from nothing.

    Raises:
        UserError: No step of the decoder ran.
    """
    reasons = [rates.failed for case, rates in steps.items() if case.decoder == decoder]
    if all(reasons):
        raise files.UserError(
            "Expected a train step to run, none did: "
            f"{'; '.join(dict.fromkeys(reasons))}"
        )


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
