"""Evaluations as text, to read on a terminal."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from vae_prod.evaluation import comparability, evaluation_file

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
    """Return an evaluation's figures, its table of z against z_mean and its verdict."""
    lines = _figures([evaluation])
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
    lines += ["", *_figures(list(evaluations.values()))]
    lines.append("")
    for number, evaluation in enumerate(evaluations.values(), 1):
        lines.append(f"{number}: {evaluation.verdict['finding']}")
    return "\n".join(lines)


def described(evaluation: evaluation_file.Evaluation) -> str:
    """Return what kind of model was evaluated, in a few words."""
    settings = evaluation.model["settings"]
    words = [settings["mode"], settings["reconstruction"]]
    if settings["mode"] == "vae":
        words.append(f"fact {settings['fact']:g}")
    return ", ".join([*words, f"z_dim {settings['z_dim']}", settings["decoder"]])


def _figures(evaluations: Sequence[evaluation_file.Evaluation]) -> list[str]:
    known = {}
    for evaluation in evaluations:
        known |= evaluation.figures
    width = max(len(figure["text"]) for figure in known.values()) + 2
    lines, section = [], ""
    if len(evaluations) > 1:
        heads = (f"{number:>12}" for number in range(1, len(evaluations) + 1))
        lines.append(" " * width + "".join(heads))
    for name, figure in known.items():
        if figure["section"] != section:
            section = figure["section"]
            lines += ["", section]
        values = (
            evaluation.figures.get(name, {}).get("value") for evaluation in evaluations
        )
        columns = "".join(f" {number(value):>11}" for value in values)
        better = figure["better"] and f"{figure['better']} is better"
        meaning = ", ".join(part for part in (figure["unit"], better) if part)
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


def _verdict(verdict: dict) -> list[str]:
    lines = [f"verdict: {verdict['finding']}"]
    lines += [f"- {reason}" for reason in verdict["reasons"]]
    lines.append(f"What to do: {verdict['advice']}")
    return [
        part
        for line in lines
        for part in textwrap.wrap(line, _WIDTH, subsequent_indent="  ")
    ]
