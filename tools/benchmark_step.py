"""Measure how fast train steps are: this package beside stock Keras layers.

    python -m tools.benchmark_step [--decoders=upsampling] [--data_dir=DIR]

One run makes one table: a row for each decoder, precision and mode, and in each

    stock   Conv2D, Conv2DTranspose, UpSampling2D, BatchNormalization, LeakyReLU and
            Adam of Keras, the same mathematics with the same number of weights
    ours    this package's model and optimizer, as tools.train makes them
    torch   with --peer=torch, the same in PyTorch, eager beside graph and
            torch.compile beside jit

A second table says where the time goes, from a short trace after each measurement.
With --layers a third one says how fast each layer is alone, and at which pass.
Each case is run --repetitions times, by turns, in a process of its own. The images
are one random batch in memory unless --data_dir is given. A precision that
the device emulates is left out unless --precisions asks for it.
"""

import itertools
import os
import sys
from collections.abc import Sequence

import attrs

from pipelines import config as data_config_lib
from tools import flags, program, progress
from tools.benchmarks import (
    layer_report,
    measuring,
    peer_cases,
    step_flops,
    step_report,
    this_machine,
)
from tools.benchmarks import results as results_lib
from vae_prod import config as config_lib

DECODERS = tuple(config_lib.DECODERS)

_SHAPES = ("z_dim", "filters", "kernel_sizes", "strides")
_CEILING = "matrix multiplication "
_LAYERS = "layers of "


def define(values):
    """Define this program's flags."""
    data = attrs.fields(data_config_lib.DataConfig)
    model = attrs.fields(config_lib.ModelConfig)
    flags.add(values, "decoders", DECODERS, "Which decoders.")
    text = "Which precisions; what the device emulates only where it is given."
    flags.add(values, "precisions", tuple(config_lib.PRECISIONS), text)
    flags.add(values, "modes", step_report.MODES, "graph, jit (compiled with XLA).")
    flags.add(values, "models", step_report.MODELS, "Which models.")
    text = (
        "Library to measure beside them, which --peer_python has: torch; empty: none."
    )
    flags.add(values, "peer", "", text)
    text = "Python of an environment that has the --peer; empty: this one."
    flags.add(values, "peer_python", "", text)
    text = "Also measure each convolution and dense layer alone."
    flags.add(values, "layers", False, text)
    flags.add(
        values,
        "data_dir",
        "",
        "Converted data set to read from beside the step; empty: one random batch in "
        "memory.",
    )
    flags.add(values, "out", "", "JSON file for all figures; empty: none.")
    size = model.image_shape.default[0]
    text = "Height and width of random images; with --data_dir its images' own."
    flags.add(values, "image_size", size, text, least=1)
    default = data.batch_size.default
    flags.add(values, "batch_size", default, "Images in a batch.", least=1)
    for name in _SHAPES:
        flags.add_field(values, getattr(model, name))
    flags.add(values, "threads", 0, "Processor cores to use; 0: all there are.")
    flags.add(values, "repetitions", 3, "How often each case is run.", least=1)
    flags.add(values, "steps", 6, "Steps that are measured, each time.", least=1)
    flags.add(values, "warmup_steps", 2, "Steps before that, after the first.")
    text = "Steps that are traced after that."
    flags.add(values, "trace_steps", 2, text, least=1)
    flags.add(
        values,
        "matmul_sizes",
        (2048, 4096),
        "Sides of the matrices whose multiplication is the ceiling.",
        least=1,
    )
    flags.add(values, "top", 0, "How many of the longest operations of a case to list.")


def main(values):
    """Measure, and print the tables."""
    _check(values)
    program.import_tensorflow()  # Not before: --help has answered by now.
    configs = _model_configs(values)
    precisions = _that_make_sense(values)
    subjects = _subjects(values, precisions)
    cases = [_ceiling_case(values, precision) for precision in precisions]
    cases += [_case(values, subject, configs[subject.decoder]) for subject in subjects]
    layers = _layers_cases(values, precisions, configs)
    cases += layers
    machine = this_machine.facts(
        "tensorflow", "keras"
    )  # With the load it begins under.
    with progress.Progress("runs") as show:
        runs = measuring.interleave(cases, values.repetitions, show)
    figures = {name: [run.result for run in of_case] for name, of_case in runs.items()}
    results = step_report.Results(
        {subject: figures[subject.name] for subject in subjects},
        {precision: figures[_CEILING + precision] for precision in precisions},
        {name: step_flops.per_image(config) for name, config in configs.items()},
        values.batch_size,
        next(iter(configs.values())).image_shape,
    )
    print(step_report.to_text(results, machine, values.top))
    of_layers = {case.name: figures[case.name] for case in layers}
    if of_layers:
        print(f"\n{layer_report.to_text(of_layers)}")
    results_lib.save_out(
        values,
        machine,
        cases=step_report.to_json(results),
        matmul_flops_per_second=results.ceilings,
        flops_per_image=results.flops,
        layers=layer_report.to_json(of_layers),
    )


def _check(values) -> None:
    """Refuse flags that can't be measured."""
    choices = {
        "decoders": DECODERS,
        "precisions": tuple(config_lib.PRECISIONS),
        "modes": step_report.MODES,
        "models": step_report.MODELS,
    }
    results_lib.check_flags(values, choices)
    if values.peer:
        if values.peer not in peer_cases.PEERS:
            known = ", ".join(peer_cases.PEERS)
            raise flags.UsageError(
                f"--peer must be {known}, or empty, received {values.peer!r}."
            )
        peer_cases.check(values.peer, values.peer_python or sys.executable)
    cores = len(os.sched_getaffinity(0))
    if not 0 <= values.threads <= cores:
        raise flags.UsageError(
            f"--threads must be from 0 to {cores}, the cores there are, received "
            f"{values.threads}."
        )


def _model_configs(values) -> dict[str, config_lib.ModelConfig]:
    """Return each decoder's model, for the images there are."""
    shape = (values.image_size, values.image_size, 3)
    if values.data_dir:
        from pipelines import shards
        from pipelines.reading import dataset

        manifest, config = shards.load_manifest(values.data_dir), _data_config(values)
        dataset.steps_per_epoch(manifest, config)  # Refuses what fills no batch.
        shape = dataset.image_shape(manifest, config)
    shapes = {name: values[name].value for name in _SHAPES}
    try:
        return {
            decoder: config_lib.ModelConfig(
                image_shape=shape, decoder=decoder, **shapes
            )
            for decoder in dict.fromkeys(values.decoders)
        }
    except ValueError as error:
        raise flags.UsageError(f"Flag refused: {error.args[0]}") from error


def _data_config(values) -> data_config_lib.DataConfig:
    return data_config_lib.DataConfig(batch_size=values.batch_size, flip=True)


def _that_make_sense(values) -> list[str]:
    """Leave out what is emulated, unless it is asked for."""
    from vae_prod.training import precision

    precisions = list(dict.fromkeys(values.precisions))
    for name in precisions:
        if why := precision.emulation(name):
            asked = values["precisions"].present
            also = "" if asked else f"; left out, --precisions={name} measures it"
            print(f"note: {why}{also}")
    if values["precisions"].present:
        return precisions
    return [name for name in precisions if precision.is_native(name)]


def _subjects(values, precisions: Sequence[str]) -> list[step_report.Subject]:
    """Return what is measured, each once; what is compared stands together."""
    conditions = itertools.product(values.decoders, precisions, values.modes)
    models = [model for model in step_report.MODELS if model in values.models]
    if values.peer:
        models.append(values.peer)
    subjects = [
        step_report.Subject(model, *condition)
        for condition in conditions
        for model in models
    ]
    return list(dict.fromkeys(subjects))


def _case(
    values, subject: step_report.Subject, config: config_lib.ModelConfig
) -> measuring.Case:
    compiled = subject.mode == "jit"
    if subject.model == values.peer:
        counts = (values.batch_size, values.warmup_steps, values.steps)
        arguments = {
            "peer": values.peer,
            "python": values.peer_python or sys.executable,
            "told": peer_cases.settings(config, subject.precision, compiled, *counts),
        }
        return measuring.Case(
            subject.name, peer_cases.prepare, arguments, values.threads
        )
    arguments = {
        "model": subject.model,
        "model_config": config,
        "train_config": config_lib.TrainConfig(
            mixed_precision=subject.precision,
            jit_compile="true" if compiled else "false",
        ),
        "data_config": _data_config(values),
        "data_dir": values.data_dir,
        "warmup_steps": values.warmup_steps,
        "steps": values.steps,
        "trace_steps": values.trace_steps,
    }
    return measuring.Case(subject.name, prepare, arguments, values.threads)


def _ceiling_case(values, precision: str) -> measuring.Case:
    arguments = {"precision": precision, "sizes": sorted(values.matmul_sizes)}
    name = _CEILING + precision
    return measuring.Case(name, prepare_ceiling, arguments, values.threads)


def _layers_cases(values, precisions, configs) -> list[measuring.Case]:
    return [
        measuring.Case(
            f"{_LAYERS}{decoder} {precision}",
            prepare_layers,
            {
                "config": configs[decoder],
                "precision": precision,
                "batch_size": values.batch_size,
                "repetitions": values.steps,
            },
            values.threads,
        )
        for decoder, precision in itertools.product(configs, precisions)
        if values.layers
    ]


def prepare(**setting) -> measuring.Work:
    """Load TensorFlow in a fresh process; return what measures one step there."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # The profiler tells much.
    program.import_tensorflow()
    from tools.benchmarks import step_cases

    before_mb = measuring.memory_mb()
    return lambda: step_cases.measure(step_cases.Setting(**setting), before_mb)


def prepare_ceiling(precision: str, sizes: Sequence[int]) -> measuring.Work:
    """Load TensorFlow in a fresh process; return what measures the ceiling there."""
    program.import_tensorflow()
    from tools.benchmarks import step_cases

    return lambda: step_cases.matmul_flops_per_second(precision, sizes)


def prepare_layers(**setting) -> measuring.Work:
    """Load TensorFlow in a fresh process; return what measures each layer there."""
    program.import_tensorflow()
    from tools.benchmarks import layer_cases

    return lambda: layer_cases.measure(**setting)


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
