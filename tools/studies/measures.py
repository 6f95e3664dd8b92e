"""Which measures of sets of images agree with the eye, on sets of a known order."""

import collections
import time
from collections.abc import Mapping

import numpy as np

from pipelines import settings
from pipelines.reading import dataset
from tools import progress
from tools.studies import battery, encodings, judges, losses, outcome, pictures
from tools.studies import lab as lab_lib
from vae_prod.config import figures as kinds
from vae_prod.reporting import report

# Set to measure to value, of one draw of the battery.
_Values = Mapping[str, Mapping[str, float]]


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Measure the battery's sets, and see how well each measure orders them."""
    opened = lab.train_and_open(battery.plans(lab))
    vae = opened["vae"]
    count = min(lab.study.measured_images, lab.num_images(lab.held_out))
    count = min(count, lab.num_images(dataset.TRAIN_SPLIT))
    real = lab.choose(vae, lab.held_out, count)["image"]
    trained = encodings.encode(lab, vae, dataset.TRAIN_SPLIT)
    panel = judges.panel(real, lab.train.seed)
    draws, seconds, shown = [], collections.Counter(), None
    for number in range(lab.study.repeats):
        seed = settings.later_seed(lab.train.seed, number)
        sets = battery.damaged(_training_images(lab, vae, count, seed), seed)
        points = trained.z_mean, trained.z_log_var
        sets |= battery.generated(opened, real, points, seed)
        values, first = _draw(sets, panel, seconds, lab.study.columns)
        draws.append(values)
        shown = shown or first
    per_thousand = 1000 / (count * len(draws) * len(draws[0]))
    costs = {name: spent * per_thousand for name, spent in seconds.items()}
    taus = {
        name: [rank_correlation(values, name) for values in draws]
        for name in draws[0][battery.REAL]
    }
    ranked = sorted(taus, key=lambda name: -np.mean(taus[name]))
    return outcome.Outcome(
        "Sets of images whose order any person agrees on, and how well measures put "
        "them in that order: what a search or a verdict should go by.",
        [
            report.Section("Agreement", _agreement(ranked, taus, costs, draws)),
            report.Section("Chains", [_chains(ranked, draws)]),
            report.Section("Values", [_values(ranked, draws[0])]),
            report.Section("Pictures", _pictures(shown)),
            report.Section("Losses", losses.parts(opened)),
        ],
        {
            "images": count,
            "agreement": taus,
            "seconds_per_1000_images": costs,
            "values": draws[0],
            "losses": {name: losses.figures(run) for name, run in opened.items()},
        },
        opened,
    )


def _draw(
    sets, panel, seconds: collections.Counter, columns: int
) -> tuple[_Values, Mapping[str, np.ndarray]]:
    """Measure each set, and add what each judge takes to `seconds`.

    Returns:
        The values, and the first images of each set.
    """
    values, first = {}, {}
    with progress.Progress("sets of images") as show:
        for name, make in sets.items():
            show(len(values), len(sets))
            images = make()
            values[name] = _measured(panel, images, seconds)
            first[name] = images[:columns].copy()  # Not a view of all of them.
        show(len(values), len(sets))
    return values, first


def _training_images(lab, vae, count: int, seed: int) -> np.ndarray:
    """Pick as many training images as there are held-out ones, other ones each time."""
    total = lab.num_images(dataset.TRAIN_SPLIT)
    rows = np.random.default_rng(seed).choice(total, count, replace=False)
    return encodings.images(lab, vae, dataset.TRAIN_SPLIT, rows)


def _measured(panel, images: np.ndarray, seconds) -> dict[str, float]:
    values = {}
    for judge in panel:
        start = time.perf_counter()
        values |= judge.measure(images)
        seconds[judge.name] += time.perf_counter() - start
    return values


def rank_correlation(values: _Values, measure: str) -> float:
    """Return Kendall's rank correlation over all pairs with a known order."""
    pairs = {pair for chain in battery.CHAINS for pair in chain.pairs()}
    return float(np.mean([_agrees(values, measure, pair) for pair in pairs]))


def _agrees(values: _Values, measure: str, pair: tuple[str, str]) -> float:
    """Return 1 where a pair is in order, -1 where it isn't, 0 where both are equal."""
    better, worse = (values[name][measure] for name in pair)
    lower_is_better = kinds.FIGURES[judges.kind_of(measure)].minimize
    return float(np.sign(worse - better if lower_is_better else better - worse))


def _agreement(ranked, taus, costs, draws) -> list[report.Part]:
    best = ranked[0]
    sentence = (
        f"{best} agrees best with the known orders: rank correlation "
        f"{np.mean(taus[best]):.2f}."
    )
    rows = [
        [
            name,
            float(np.mean(taus[name])),
            float(np.ptp(taus[name])),
            costs[judges.judge_of(name)],
        ]
        for name in ranked
    ]
    columns = ["measure", "rank correlation", "range over seeds", "s per 1,000 images"]
    caption = (
        "Kendall's rank correlation with the known orders, 1: all pairs in order, 0: "
        f"as by chance; mean of {len(draws)} draws of all random numbers. Seconds are "
        "those of all measures by the same features together."
    )
    return [report.Verdict(sentence), report.Table(columns, rows, caption)]


def _chains(ranked, draws) -> report.Table:
    rows = [
        [
            name,
            *(
                float(
                    np.mean(
                        [
                            _agrees(values, name, pair)
                            for values in draws
                            for pair in chain.pairs()
                        ]
                    )
                )
                for chain in battery.CHAINS
            ),
        ]
        for name in ranked
    ]
    caption = "The same, chain by chain; each goes from best to worst."
    columns = ["measure", *(chain.name for chain in battery.CHAINS)]
    return report.Table(columns, rows, caption)


def _values(ranked, values: _Values) -> report.Table:
    rows = [[name, *(values[name][measure] for measure in ranked)] for name in values]
    return report.Table(["set", *ranked], rows, "What each measure gives, first draw.")


def _pictures(shown: Mapping[str, np.ndarray]) -> list[report.Part]:
    return [
        pictures.grid(
            "set_" + "".join(c if c.isalnum() else "_" for c in name),
            images,
            len(images),
            f"{name}.",
        )
        for name, images in shown.items()
    ]
