"""Make one of the experiments on autoencoders, and write a report of it.

    python -m tools.study --study=STUDY --data_dir=DIR      trains what it needs
    python -m tools.study --study=STUDY --run_dir=RUN       looks at a trained run

All flags of training may be given. Defaults differ in --recompute_batch_norm=10, and
where the list of studies says so.

The study's folder gets report.html (one file, to read anywhere), figures.json,
pictures/ (PNG), tensorboard/ (with the embedding projector) and runs/NAME for each run
trained. The same command again reuses finished runs and goes on with others.
"""

import os
import shlex
import sys
from collections.abc import Sequence

import attrs

from pipelines import config as data_config_lib
from tools import flags, program
from tools.studies import catalogue
from tools.studies import config as studies_config
from vae_prod import config as config_lib
from vae_prod.training import compile_cache

_RUN_CONFIGS = (
    config_lib.ModelConfig,
    config_lib.TrainConfig,
    data_config_lib.DataConfig,
)
# Defaults of all studies, beside their own: after few steps batch norm's moving
# statistics lag so far behind that pictures would show the lag.
_DEFAULTS = ("--recompute_batch_norm=10",)
# Settings of training that are also settings of looking at a run.
_OF_BOTH = ("seed", "recompute_batch_norm", "cpu_only", "cpu_threads")


def define(values):
    """Define this program's flags."""
    flags.add(values, "study", "", f"Which study: {', '.join(catalogue.STUDIES)}.")
    flags.add(values, "data_dir", "", "Converted data set; default: the run's own.")
    flags.add(
        values, "run_dir", "", "Trained run to look at; empty: train what it needs."
    )
    flags.add(values, "weights", "last", "Which weights of a run.", ("best", "last"))
    flags.add(
        values,
        "out",
        "",
        "The study's folder; default: studies/STUDY in the run directory (a report: "
        "report there), or in the working directory.",
    )
    flags.define(values, studies_config.StudyConfig, *_RUN_CONFIGS)
    for name, studies in catalogue.readers().items():
        values[name].help = f"{', '.join(studies)}: {values[name].help}"


def more_help() -> str:
    """Return the list of studies, which follows the docstring in --help."""
    return catalogue.help_text()


def main(values):
    """Make the study that the flags name."""
    _check(values)
    study_config = flags.build(values, studies_config.StudyConfig)
    command = _command(values)
    compile_cache.use(values.compile_cache)
    program.import_tensorflow()  # Not before: --help has answered by now.
    from pipelines import folders
    from pipelines.reading import data_set
    from tools import evaluating
    from tools.studies import annotations, provenance
    from tools.studies import outcome as outcome_lib
    from vae_prod.training import devices, stopping

    study = catalogue.STUDIES[values.study]
    _apply(values, (*_DEFAULTS, *study.defaults))
    devices.set_up(flags.build(values, config_lib.TrainConfig))
    lab = _lab(values, study_config)
    if study.needs_annotations:
        annotations.require(lab, study.name)
    if study.is_measured:
        evaluating.check_images(lab.model.image_shape, lab.manifest, lab.held_out)
    try:
        with (
            folders.alone(lab.out, outcome_lib.MARK, "--out"),
            data_set.reading(lab.data_dir),
        ):
            outcome_lib.begin(study.name, lab.out)
            outcome = provenance.with_provenance(study.load().study(lab), lab, command)
            path = outcome_lib.publish(outcome, _title(study, values.run_dir), lab.out)
    except stopping.Stopped:
        print("stopped on request; the same command goes on")
        sys.exit(program.STOPPED)
    print(f"\nreport: {path}")
    print(f"watch it: tensorboard --logdir={lab.out}")


def _check(values) -> None:
    """Refuse flags that don't go together, before anything is loaded."""
    flags.require(values, "study")
    studies = catalogue.STUDIES
    if values.study not in studies:
        raise flags.UsageError(
            f"--study takes {', '.join(studies)}; received {values.study!r}."
        )
    if studies[values.study].runs == catalogue.GIVEN_RUN:
        flags.require(values, "run_dir")
    if not (values.data_dir or values.run_dir):
        raise flags.UsageError(
            "--data_dir, to train on, or --run_dir, to look at, is required: received "
            "neither."
        )
    if not values.run_dir:
        return
    of_a_run = [s.name for s in studies.values() if s.runs != catalogue.SEVERAL_RUNS]
    if values.study not in of_a_run:
        raise flags.UsageError(
            f"--study={values.study} trains its own runs and takes --data_dir, not "
            f"--run_dir. Of one run there are {', '.join(of_a_run)}."
        )
    if training := [name for name in _run_flags() if values[name].present]:
        raise flags.UsageError(
            f"--run_dir={values.run_dir} is looked at as it was trained, received "
            f"--{training[0]} too. Leave that out, or give --data_dir to train with it."
        )


def _run_flags() -> list[str]:
    """Return the flags that say how a run is trained, and nothing else."""
    fields = (field for config in _RUN_CONFIGS for field in attrs.fields(config))
    names = {field.name for field in fields if flags.is_flag(field)}
    return sorted(names - set(_OF_BOTH))


def _command(values) -> str:
    """Return the command that makes this study again."""
    arguments = [values[name].serialize() for name in values if values[name].present]
    return shlex.join(["python", "-m", "tools.study", *arguments])


def _apply(values, defaults: Sequence[str]) -> None:
    """Give flags that weren't given on the command line a study's own defaults."""
    parsed = flags.flags.FlagValues()
    flags.define(parsed, *_RUN_CONFIGS)
    parsed(["study", *program.expand(defaults)])
    for name in parsed:
        if parsed[name].present and not values[name].present:
            values[name].value = parsed[name].value


def _lab(values, study_config: studies_config.StudyConfig):
    """Gather what the study works with."""
    from pipelines import folders, shards
    from pipelines.reading import dataset
    from tools import runs
    from tools.studies import lab
    from vae_prod.training import precision

    # Once for all runs that are compared.
    train_config = precision.resolve(flags.build(values, config_lib.TrainConfig))
    data_config = flags.build(values, data_config_lib.DataConfig)
    if values.run_dir:
        run = runs.load(values.run_dir)
        data_dir, manifest = runs.open_data(run, values.data_dir)
        model_config = run.model
    else:
        data_dir, manifest = values.data_dir, shards.load_manifest(values.data_dir)
        shape = dataset.image_shape(manifest, data_config)
        model_config = flags.build(values, config_lib.ModelConfig, image_shape=shape)
    return lab.Lab(
        out=values.out or _folder(values),
        data_dir=folders.absolute(data_dir),
        manifest=manifest,
        model=model_config,
        train=train_config,
        data=data_config,
        study=study_config,
        weights=values.weights,
        run_dir=values.run_dir,
    ).with_judge()


def _title(study: catalogue.Study, run_dir: str) -> str:
    return study.title.format(run=os.path.basename(os.path.abspath(run_dir)))


def _folder(values) -> str:
    if catalogue.STUDIES[values.study].runs == catalogue.GIVEN_RUN:
        return os.path.join(values.run_dir, values.study)
    return os.path.join(values.run_dir, "studies", values.study)


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
