"""Losses of runs: a table, their curves, and published ones beside them."""

from collections.abc import Mapping

from tools.studies import lab as lab_lib
from tools.studies import pictures, published
from vae_prod.reporting import charts, report

_LOSSES = ("total_loss", "reco_loss", "kl_loss", "mmd_loss")
_VALIDATION = ("val_total_loss", "val_recomputed_total_loss")


def parts(opened: Mapping[str, lab_lib.Opened]) -> list[report.Part]:
    """Show the losses of runs after their last epoch, and on the way."""
    return [
        report.Text(
            "Losses of training (means over the last epoch) and of validation, in the "
            "training convention: reco_loss averaged over channels and summed over "
            "pixels unless a weight is given, kl_loss (or mmd_loss) including fact. "
            "Losses of different fact don't compare."
        ),
        table(opened),
        curves(opened),
        *(part for name, run in opened.items() for part in beside(name, run)),
    ]


def table(opened: Mapping[str, lab_lib.Opened]) -> report.Table:
    """Tabulate the last epoch's losses, a row a run."""
    last = {name: run.history()[-1] for name, run in opened.items()}
    known = [
        k for k in (*_LOSSES, *_VALIDATION) if any(k in row for row in last.values())
    ]
    heads = [name.replace("_", " ") for name in known]
    rows = [
        [name, int(row["epoch"]), *(row.get(key) for key in known)]
        for name, row in last.items()
    ]
    return report.Table(["run", "epochs", *heads], rows)


def figures(opened: lab_lib.Opened) -> dict[str, float]:
    """Return the last epoch's losses, for `figures.json`."""
    row = opened.history()[-1]
    return {key: row[key] for key in ("epoch", *_LOSSES, *_VALIDATION) if key in row}


def curves(opened: Mapping[str, lab_lib.Opened]) -> report.Picture:
    """Draw total_loss over the epochs, of training and of validation."""
    series = {}
    for name, run in opened.items():
        rows = run.history()
        for key, kind in (
            ("total_loss", "training"),
            (_validation(rows), "validation"),
        ):
            known = [row for row in rows if key in row]
            series[f"{name}, {kind}"] = (
                [row["epoch"] for row in known],
                [row[key] for row in known],
            )
    sheet = charts.lines(series, "epoch", "total_loss")
    caption = "total_loss over the epochs."
    if any(_validation(run.history()) == _VALIDATION[1] for run in opened.values()):
        caption += " Validation is with batch-norm statistics recomputed."
    return pictures.chart("losses", sheet, caption)


def _validation(rows: list[dict[str, float]]) -> str:
    """Name the validation loss that batch norm's lag doesn't reach, where there is."""
    return _VALIDATION[1] if _VALIDATION[1] in rows[-1] else _VALIDATION[0]


def beside(name: str, opened: lab_lib.Opened) -> list[report.Part]:
    """Show a run's losses beside published ones, and say what differs."""
    known = published.of(opened)
    if known is None:
        return []
    row = opened.history()[-1]
    rows = [
        [loss.replace("_", " "), row[loss] / known.divided_by, value]
        for loss, value in known.losses.items()
        if loss in row
    ]
    return [
        report.Table(["loss", "ours", "published"], rows, f"{name}, beside published"),
        report.Text(
            f"Published: {known.setting}. Ours: {opened.trained_on}, "
            f"{int(row['epoch'])} epochs. After fewer updates losses are higher; other "
            "images have other losses."
        ),
    ]
