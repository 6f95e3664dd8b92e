"""How a study was made, for its report: data, runs, settings, command."""

from importlib import metadata

import attrs

from pipelines import settings
from tools.studies import lab as lab_lib
from tools.studies import outcome as outcome_lib
from vae_prod.reporting import report


def with_provenance(
    outcome: outcome_lib.Outcome, lab: lab_lib.Lab, command: str
) -> outcome_lib.Outcome:
    """Add how a study was made to what it has found."""
    section = report.Section(
        "How this was made", [*_data(lab), *_runs(outcome), *_command(command)]
    )
    made = {
        "command": command,
        "data": {
            "data_dir": lab.data_dir,
            "name": lab.manifest.name,
            "digest": lab.manifest.digest(),
        },
        "held_out": lab.held_out,
        "seed": lab.train.seed,
        "runs": {name: opened.run_dir for name, opened in outcome.runs.items()},
    }
    return attrs.evolve(
        outcome,
        sections=[*outcome.sections, section],
        figures={"made": made, "found": outcome.figures},
    )


def _data(lab: lab_lib.Lab) -> list[report.Part]:
    height, width, channels = lab.manifest.record.image_shape
    counts = [
        f"{name} {split.num_examples:,}" for name, split in lab.manifest.splits.items()
    ]
    return [
        report.Text(
            f"Data: {lab.manifest.name}, {height}x{width}x{channels}, "
            f"{', '.join(counts)} images, in {lab.data_dir} (digest "
            f"{lab.manifest.digest()[:12]}). Figures are of the {lab.held_out} split "
            f"unless they say otherwise. Seed {lab.train.seed}; {lab.weights} weights; "
            f"batch-norm statistics, where there are any, {_statistics(lab)}."
        )
    ]


def _statistics(lab: lab_lib.Lab) -> str:
    batches = lab.train.recompute_batch_norm
    return f"recomputed over {batches} training batches" if batches else "as trained"


def _runs(outcome: outcome_lib.Outcome) -> list[report.Part]:
    parts = [
        report.Text(
            "The runs, with the settings that aren't the defaults; flags.txt in each "
            "folder holds all of them."
        )
    ]
    for name, opened in outcome.runs.items():
        done, asked = len(opened.history()), opened.run.train.epochs
        state = f"{done} of {asked} epochs" if done < asked else f"{done} epochs"
        lines = [f"# {name}: {opened.run_dir}, {state}", *_changed(opened)]
        parts.append(report.Code("\n".join(lines)))
    return parts


def _changed(opened: lab_lib.Opened) -> list[str]:
    """Return a run's flags that differ from the defaults."""
    configs = (opened.run.model, opened.run.train, opened.run.data)
    defaults = (type(config)() for config in configs)
    usual = set(settings.flagfile(*defaults).splitlines())
    return [f for f in settings.flagfile(*configs).splitlines() if f not in usual]


def _command(command: str) -> list[report.Part]:
    names = ("vae_prod", "tensorflow", "keras")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in names)
    return [
        report.Text("The command, from the project's folder; it reuses these runs."),
        report.Code(command),
        report.Text(f"Made with {versions}."),
    ]
