"""The steps of a reproduction, each a program of this package, and its report."""

import json
import math
import os
import shlex

from pipelines import documents, files, folders, shards
from pipelines.reading import dataset
from tools import program
from tools.reproduction import judgement, rows
from tools.studies import outcome
from vae_prod.reporting import report
from vae_prod.training import history

MARK = "reproduction.json"


def reproduce(values, row: rows.Row) -> judgement.Judgement:
    """Take all steps that the flags name, and write what came of them.

    Args:
        values: Flags of tools.reproduce.
        row: The published figure.

    Raises:
        UserError: A step failed, or the folder is another row's.
    """
    with folders.alone(values.out, MARK, "--out"):
        _begin(values)
        commands = _commands(values, row)
        for number, (name, argv) in enumerate(commands, 1):
            told = _told(name, argv)
            print(f"step {number} of {len(commands)}: {told}", flush=True)
            if code := program.run_by_name(name, argv):
                error = files.UserError(
                    f"Expected step {number} to succeed, it didn't; see above."
                )
                error.exit_code = code
                raise error
        measured = _measured(values, row)
        judged = judgement.judge(row, measured)
        _write(values, row, measured, judged, commands)
    print(
        f"\n{judged.verdict}: {judged.sentence}\nreport: {_path(values, 'report.html')}"
    )
    return judged


def _path(values, *names: str) -> str:
    return os.path.join(values.out, *names)


def _begin(values) -> None:
    """Mark the folder as this row's, of this share and budget."""
    names = ("row", "fraction", "epochs", "judge", "measured_images")
    wanted = {name: values[name].value for name in names}
    path = _path(values, MARK)
    if os.path.exists(path):
        begun = _read(path).get("asked")
        if begun != wanted:
            raise files.UserError(
                f"Expected --out to be new or of the same flags, {values.out} was "
                f"begun with {begun}; choose another --out."
            )
        return
    files.write(path, json.dumps({"asked": wanted}) + "\n")


def _read(path: str) -> dict:
    try:
        return documents.build(dict, documents.read(path))
    except (OSError, ValueError) as error:
        raise files.UserError(
            f"Expected JSON in {path}, it is damaged ({error}); remove it and run the "
            "same command again."
        ) from error


def _commands(values, row: rows.Row) -> list[tuple[str, list[str]]]:
    """Return the names of programs and their arguments, in order."""
    records, run = _path(values, "records"), _path(values, "run")
    converting = [f"--source={values.source}", f"--out={records}"]
    converting.append(f"--protocol={row.protocol}")
    if values.fraction < 1:
        converting.append(f"--limit={math.ceil(values.fraction * row.images)}")
    training = [f"--recipe={row.recipe}", f"--data_dir={records}", f"--run_dir={run}"]
    training += [f"--epochs={values.epochs or row.epochs}", "--resume"]
    commands = [("convert_celeba", converting), ("train", training)]
    if row.figure.where == "study":
        measuring = ["--study=samplers", f"--run_dir={run}", f"--judge={values.judge}"]
        measuring.append(f"--measured_images={values.measured_images or row.count}")
        measuring += ["--components=10", f"--out={_path(values, 'study')}"]
        if epochs := row.second_stage_epochs:
            share = (values.epochs or row.epochs) / row.epochs
            measuring.append(f"--second_stage_epochs={math.ceil(share * epochs)}")
        commands.append(("study", measuring))
    return commands


def _measured(values, row: rows.Row) -> judgement.Measured:
    manifest = shards.load_manifest(_path(values, "records"))
    images = manifest.split(dataset.TRAIN_SPLIT).num_examples
    last = history.read(_path(values, "run", "history.csv"))[-1]
    epochs = int(last["epoch"])
    if row.figure.where == "history":
        return judgement.Measured(float(last[row.figure.key]), 0.0, images, epochs)
    found = _read(_path(values, "study", outcome.FIGURES))["found"]
    return judgement.Measured(
        found["distances"][row.figure.key],
        found["half_widths"][row.figure.key],
        images,
        epochs,
        found["judge"].partition(":")[0],
        found["images"],
    )


def _write(values, row, measured, judged, commands) -> None:
    """Write `report.html` and the same as JSON."""
    published = f"{row.value:,.1f} ± {row.spread:,.1f} ({row.spread_is})"
    last = history.read(_path(values, "run", "history.csv"))[-1]
    hours = row.images * row.epochs * float(last["seconds"]) / measured.images / 3600
    sections = [
        report.Section(
            "Judgement",
            [
                report.Verdict(f"{judged.verdict}: {judged.sentence}."),
                report.Table(
                    ["", "published", "here"],
                    [
                        [row.figure.name, published, measured.value],
                        ["interval of 95 %, half its width", "", measured.half_width],
                        ["training images", f"{row.images:,}", f"{measured.images:,}"],
                        ["epochs", f"{row.epochs}", f"{measured.epochs}"],
                        [
                            "features",
                            row.extractor or "none",
                            measured.extractor or "none",
                        ],
                        ["images behind it", f"{row.count:,}", f"{measured.count:,}"],
                    ],
                    f"{row.title}; {row.source}; protocol {row.protocol}.",
                ),
            ],
        ),
        report.Section(
            "Where the model differs from the published one",
            [report.Text(f"{text}.") for text in row.differs or ("nowhere known",)],
        ),
        report.Section(
            "What the whole takes",
            [
                report.Text(
                    f"{row.images:,} training images, {row.epochs} epochs: "
                    f"{hours:,.1f} hours of training, computed from the last one here."
                )
            ],
        ),
        report.Section(
            "Commands", [report.Code("\n".join(_told(*c) for c in commands))]
        ),
    ]
    title = f"Reproduction of {values.row}"
    page = report.Report(title, f"{row.title}: {row.source}.", sections)
    facts = {
        "asked": _read(_path(values, MARK))["asked"],
        "published": row.value,
        "spread": row.spread,
        "value": measured.value,
        "half_width": measured.half_width,
        "verdict": judged.verdict,
        "because": judged.sentence,
    }
    files.write(_path(values, MARK), json.dumps(facts, indent=1) + "\n")
    page.write(_path(values, "report.html"))


def _told(name: str, argv: list[str]) -> str:
    return shlex.join(["python", "-m", f"tools.{name}", *argv])
