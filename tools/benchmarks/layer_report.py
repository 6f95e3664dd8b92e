"""What tools.benchmark_step says of layers: which one is slow, and at which pass."""

import statistics
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from tools.benchmarks import results as results_lib

_HEADER = ("forward", "by input", "by weights", "product", "of ceiling")
_NOTE = (
    "GFLOP/s of each convolution and dense layer alone, medians over the repetitions. "
    "by input, by weights: its gradients; the first layer's input has none. product: a "
    "multiplication of matrices of the layer's dimensions, its own ceiling. of "
    "ceiling: the time of as many products over that of the passes. Upsampling counts "
    "as the textbook has it, see above."
)
_PASSES = ("forward", "by_input", "by_weights", "product")


def to_text(layers: Mapping[str, Sequence[Sequence[Any]]]) -> str:
    """Return a table for each case.

    Args:
        layers: Name of a case to the `layer_cases.LayerFigures` of each repetition.
    """
    tables = [
        results_lib.table([name, *_HEADER], [_row(layer) for layer in _summed(runs)])
        for name, runs in layers.items()
    ]
    return "\n\n".join([*tables, textwrap.fill(_NOTE, 88)])


def to_json(layers: Mapping[str, Sequence[Sequence[Any]]]) -> dict[str, Any]:
    """Return the medians of everything, by case and layer."""
    return {
        name: [
            attrs.asdict(layer) | {"part_of_ceiling": layer.part_of_ceiling}
            for layer in _summed(runs)
        ]
        for name, runs in layers.items()
    }


def _summed(runs: Sequence[Sequence[Any]]) -> list[Any]:
    """Return each layer with the medians of its times."""
    return [
        attrs.evolve(
            repetitions[0],
            **{
                name: statistics.median(getattr(one, name) for one in repetitions)
                for name in _PASSES
                if getattr(repetitions[0], name) is not None
            },
        )
        for repetitions in zip(*runs, strict=True)
    ]


def _row(layer) -> list[str]:
    times = [getattr(layer, name) for name in _PASSES]
    rates = [f"{layer.flops / time / 1e9:,.1f}" if time else "" for time in times]
    return [layer.name, *rates, f"{layer.part_of_ceiling:.0%}"]
