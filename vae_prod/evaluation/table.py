"""Evaluations as text, to read on a terminal."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from vae_prod.evaluation import (
    comparability,
    evaluation_file,
    resampling,
    sections,
)
from vae_prod.reporting import uncertainty

_WIDTH = 88
_EXTENTS = {
    "z_log_var": "z_log_var",
    "shift": "|z - z_mean|",
    "radius": "|z|",
    "mean_radius": "|z_mean|",
    "difference": "||z| - |z_mean||",
    "relative_difference": "the same / |z|",
}


def text(evaluation: evaluation_file.Evaluation) -> str:
    """Return an evaluation's figures and tables, and its verdict."""
    lines = _figures(evaluation)
    if evaluation.copies:
        lines += ["", *sections.copies_text(evaluation.copies)]
    if evaluation.attribute_gaps:
        lines += ["", *sections.gaps_text(evaluation.attribute_gaps)]
    lines += ["", *_posteriors(evaluation.posteriors)]
    return "\n".join([*lines, "", *_verdict(evaluation.verdict)])


def comparison(evaluations: Mapping[str, evaluation_file.Evaluation]) -> str:
    """Return evaluations beside each other, a column each, and what to know of them.

    Args:
        evaluations: Path to evaluation; alike, see `comparability.check_alike`.
    """
    lines = [
        f"{number}: {path} ({described(evaluation)})"
        for number, (path, evaluation) in enumerate(evaluations.items(), 1)
    ]
    lines += [f"unlike: {note}" for note in comparability.notes(evaluations)]
    lines += ["", *_compared(list(evaluations.values())), ""]
    for index, evaluation in enumerate(evaluations.values(), 1):
        lines.append(f"{index}: {evaluation.verdict['finding']}")
        if evaluation.verdict["uncertain"]:
            lines.append(f"   not certain: {evaluation.verdict['uncertain']}")
        if evaluation.copies:
            lines.append(f"   {sections.copies_sentence(evaluation.copies)}")
    return "\n".join(lines)


def described(evaluation: evaluation_file.Evaluation) -> str:
    """Return what kind of model was evaluated, in a few words."""
    settings = evaluation.model["settings"]
    words = [settings["mode"], settings["reconstruction"]]
    if settings["mode"] == "vae":
        words.append(f"fact {settings['fact']:g}")
    return ", ".join([*words, f"z_dim {settings['z_dim']}", settings["decoder"]])


def _figures(evaluation: evaluation_file.Evaluation) -> list[str]:
    """Return a line a figure, with its interval."""
    cells = {}
    for name, figure in evaluation.figures.items():
        interval = figure["interval"]
        half_width = interval and (interval[1] - interval[0]) / 2
        text = uncertainty.plus_minus(half_width)
        cells[name] = f"{number(figure['value']):>12} {text:<9}", _meaning(figure)
    return _lines(evaluation.figures, cells)


def _compared(evaluations: Sequence[evaluation_file.Evaluation]) -> list[str]:
    """Return a line a figure, with a column an evaluation and what intervals show."""
    known: dict[str, evaluation_file.Row] = {}
    for evaluation in evaluations:
        known |= evaluation.figures
    heads = "".join(f"{index:>12}" for index in range(1, len(evaluations) + 1))
    if len(evaluations) == 2:
        heads += f"{'2 - 1':>12}"
    cells = {"": (heads, "")}
    for name, figure in known.items():
        rows = [evaluation.figures.get(name) for evaluation in evaluations]
        values = "".join(f" {number(row and row['value']):>11}" for row in rows)
        first, *others = (evaluation.estimate(name) for evaluation in evaluations)
        differences = [
            first and other and resampling.difference(other, first) for other in others
        ]
        if len(others) == 1:
            values += _difference(differences[0])
        cells[name] = values, _shown(figure, differences)
    return _lines(known, cells)


def _difference(difference: resampling.Estimate | None) -> str:
    if difference is None:
        return " " * 22
    interval = uncertainty.plus_minus(difference.half_width)
    return f" {number(difference.number):>11} {interval:<9}"


def _shown(
    figure: evaluation_file.Row, differences: Sequence[resampling.Estimate | None]
) -> str:
    """Say what a figure's values mean, and which of them aren't shown to differ."""
    alike = [
        str(index)
        for index, difference in enumerate(differences, 2)
        if difference and difference.may_be(0.0)
    ]
    if not alike:
        return _meaning(figure)
    if len(differences) == 1:
        return ", ".join(filter(None, (figure["unit"], "no difference shown")))
    shown = f"no difference from 1 shown: {', '.join(alike)}"
    return ", ".join(filter(None, (_meaning(figure), shown)))


def _meaning(figure: evaluation_file.Row) -> str:
    better = figure["better"] and f"{figure['better']} is better"
    return ", ".join(filter(None, (figure["unit"], better)))


def _lines(
    figures: Mapping[str, evaluation_file.Row], cells: Mapping[str, tuple[str, str]]
) -> list[str]:
    """Return a line for each figure under its section's heading.

    Args:
        figures: Name to figure.
        cells: Name of a figure to its columns and what they mean; "": of the head.
    """
    width = max(len(figure["text"]) for figure in figures.values()) + 2
    lines, section = [], ""
    if "" in cells:
        lines.append(" " * width + cells[""][0])
    for name, figure in figures.items():
        if figure["section"] != section:
            section = figure["section"]
            lines += ["", section]
        columns, meaning = cells[name]
        lines.append(f"  {figure['text']:<{width}}{columns}  {meaning}".rstrip())
    return lines


def number(value: float | None) -> str:
    """Return a number as it is worth reading; n/a where there is none."""
    if value is None:
        return "n/a"
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size >= 10 or not size:
        return f"{value:,.{1 if size >= 100 else 2}f}"
    return f"{value:.4f}" if size >= 1e-3 else f"{value:.2e}"


def _posteriors(table: dict) -> Iterator[str]:
    yield f"z against z_mean{'mean':>16}{'smallest':>14}{'largest':>14}"
    is_autoencoder = table["z_log_var"] is None
    for name, label in _EXTENTS.items():
        if is_autoencoder and name != "radius":
            continue  # Its z is z_mean.
        extent = table[name]
        values = (extent["mean"], extent["smallest"], extent["largest"])
        columns = "".join(f"{_exact(value):>14}" for value in values)
        yield f"  {label:<16}{columns}"
    if not is_autoencoder:
        far = f"{table['far']:,} of {table['num_images'] * table['z_dim']:,}"
        yield f"  {far} components of z are more than 0.05 from z_mean"


def _exact(value: float) -> str:
    return f"{value:.6f}" if abs(value) >= 0.01 or not value else f"{value:.4e}"


def _verdict(verdict: evaluation_file.Verdict) -> list[str]:
    lines = [f"verdict: {verdict['finding']}"]
    lines += [f"- {reason}" for reason in verdict["reasons"]]
    if verdict["uncertain"]:
        lines.append(f"not certain: {verdict['uncertain']}")
    lines.append(f"What to do: {verdict['advice']}")
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ")
    ]
