"""What trying an export out has shown, for people and for programs."""

import json
from collections.abc import Iterator

import attrs

from pipelines import files
from tools.benchmarks import results
from vae_prod.serving import description as description_lib

_LEVEL = 1 / 255


def wrong(findings: dict, tolerance: float) -> list[str]:
    """Return what is beyond the tolerance, a few words each."""
    return list(_wrong(findings, tolerance))


def _wrong(findings: dict, tolerance: float) -> Iterator[str]:
    yield from findings["damage"]
    yield from (
        f"the signature {name} is missing" for name in findings.get("missing", ())
    )
    for trial in ("golden", "run", "batches", "after refusals"):
        for name, worst in findings.get(trial, {}).items():
            if worst > _allowed(name, tolerance):
                yield f"{name} differs by {worst:.3g} ({trial})"
    for name, attempts in findings.get("refusals", {}).items():
        for what, refused, said in attempts:
            if not refused:
                yield f"{name}, sent {what}, said: {said}"


def _allowed(name: str, tolerance: float) -> float:
    return max(tolerance, _LEVEL * 1.001) if name.endswith("_png") else tolerance


def text(
    description: description_lib.Description, findings: dict, tolerance: float
) -> str:
    """Return the findings as text."""
    lines = [f"fingerprint {description.fingerprint}"]
    damage = findings["damage"]
    whole = f"{len(description.files)} files, each as it was exported"
    lines.append("; ".join(damage) if damage else whole)
    if "refusals" not in findings:  # It wasn't tried, or lacks signatures.
        return "\n".join(lines)
    refusals = findings["refusals"]
    sent = sum(map(len, refusals.values()))
    refused = sum(answer[1] for answers in refusals.values() for answer in answers)
    lines += [
        f"loaded in {findings['load_seconds']:.1f} s by TensorFlow "
        f"{findings['tensorflow']}, without Keras and this package",
        f"{refused} of {sent} bad requests refused by the input's name, the process "
        "unharmed",
        "",
        _table(findings),
        "",
        "Largest differences: of numbers, absolute or, above 1, in parts of them; of "
        "PNG files 0.0039 is one level.",
    ]
    mistakes = wrong(findings, tolerance)
    lines += ["", *(f"WRONG: {mistake}" for mistake in mistakes)] if mistakes else []
    return "\n".join(lines)


def _table(findings: dict) -> str:
    of_run = findings.get("run", {})
    batch = max(timed["rows"] for timed in findings["speed"].values())
    heads = ["signature", "recorded", "batches", "run", "p50 ms", "p95 ms"]
    rows = []
    for name, speed in findings["speed"].items():
        rows.append(
            [
                name,
                _number(findings["golden"][name]),
                _number(findings["batches"][name]),
                _number(of_run[name]) if name in of_run else "",
                f"{speed['p50_ms']:.1f}",
                f"{speed['p95_ms']:.1f}",
                f"{speed['rows_per_second']:,.0f}",
            ]
        )
    return results.table([*heads, f"rows/s at {batch}"], rows)


def _number(value: float) -> str:
    return f"{value:.1e}" if value else "0"


def save(path: str, description: description_lib.Description, findings: dict) -> None:
    """Write all findings as JSON."""
    values = {"description": attrs.asdict(description), **findings}
    files.write(path, json.dumps(values, indent=1) + "\n")
