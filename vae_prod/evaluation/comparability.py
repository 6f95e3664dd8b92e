"""Whether evaluations compare: refused where a protocol of the same name differs."""

from collections.abc import Iterator, Mapping

from pipelines import files
from vae_prod.evaluation import evaluation_file


def check_alike(evaluations: Mapping[str, evaluation_file.Evaluation]) -> None:
    """Refuse to compare figures that were taken in different ways.

    Args:
        evaluations: Path to evaluation, two or more. A protocol that some of them
            haven't is no hindrance: its figures are missing there.

    Raises:
        UserError: Naming what differs.
    """
    (first, one), *others = evaluations.items()
    for path, other in others:
        if differences := list(_differences(one.protocols, other.protocols)):
            raise files.UserError(
                f"Expected evaluations taken alike, {first} and {path} differ in "
                f"{', '.join(differences)}. Evaluate both in the same way."
            )


def _differences(first: dict[str, dict], second: dict[str, dict]) -> Iterator[str]:
    named = set()
    for protocol in (name for name in first if name in second):
        one, other = first[protocol], second[protocol]
        for name in {**one, **other}:
            values = one.get(name), other.get(name)
            if values[0] != values[1] and name not in named:
                named.add(name)
                yield f"{name} ({_shown(values[0])} and {_shown(values[1])})"


def _shown(value) -> str:
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 else text  # A digest.


def notes(evaluations: Mapping[str, evaluation_file.Evaluation]) -> list[str]:
    """Return how models were taken or evaluated differently, though comparably."""
    lines = []
    for name in ("weights", "recompute_batch_norm"):
        values = [evaluation.model.get(name) for evaluation in evaluations.values()]
        if len(set(map(str, values))) > 1:
            lines.append(f"{name}: {', '.join(map(_shown, values))}")
    versions = [evaluation.made_by for evaluation in evaluations.values()]
    for name in versions[0]:
        values = [version.get(name) for version in versions]
        if len(set(values)) > 1:
            lines.append(f"made by {name} {', '.join(map(_shown, values))}")
    return lines
