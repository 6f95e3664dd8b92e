"""Every figure of the table is taken, shown and compared as the table says."""

import json
import re

import attrs
import tensorflow as tf
from absl.testing import parameterized

from tests.vae_prod import tiny
from tests.vae_prod.evaluation import evaluations
from vae_prod.config import figures as kinds
from vae_prod.evaluation import (
    comparability,
    evaluation_file,
    figures,
    measurements,
    pixel_statistics,
    table,
)
from vae_prod.evaluation import subject as subject_lib

_SHAPE = (16, 16, 3)  # The window of SSIM fits.
# Of a search alone, see `quality.Quality.frechet`.
_NOT_EVALUATED = {"frechet", "distance"}


def _measure(config) -> measurements.Measurements:
    images = tf.constant(tiny.images(8, _SHAPE))
    subject = subject_lib.Subject.from_model(tiny.model(**attrs.asdict(config)))
    settings = measurements.EvaluationSettings(importance_samples=2)
    extractors = [evaluations.extractor()]
    return measurements.evaluate(
        subject,
        [{"image": images}],
        settings,
        extractors=extractors,
        recogniser=evaluations.recogniser(),
    )


def _names(kind: str, listed: list[figures.Figure]) -> list[str]:
    """Return the names that a kind of figure has in an evaluation."""
    if kind.startswith("checkerboard"):
        ending = kind.removeprefix("checkerboard")
        return [
            figure.name
            for figure in listed
            if figure.name.startswith("checkerboard_") and figure.name.endswith(ending)
        ]
    if kind in pixel_statistics.STATISTICS:
        return [f"{of}_{kind}" for of in ("sample", "reconstruction")]
    # An extractor's, and a distance's at one size.
    return [
        figure.name
        for figure in listed
        if kind == figure.name.removeprefix("means/")
        or figure.name.removeprefix(f"{kind}_").isdigit()
    ]


class CompletenessTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        {"reconstruction": "bce"},
        {"reconstruction": "mse"},
        {"reconstruction": "continuous_bernoulli"},
        {"mode": "ae", "fact": 0.0},
        {"mode": "ae", "divergence": "mmd"},
    )
    def test_every_figure_is_taken_shown_and_compared(self, **settings):
        config = tiny.config(image_shape=_SHAPE, **settings)
        measured = _measure(config)
        listed = figures.list_figures(measured, config)
        evaluation = evaluation_file.from_measurements(
            measured,
            config,
            evaluations.IMAGES,
            [evaluations.extractor()],
            {"settings": attrs.asdict(config)},
            {},
        )
        written = json.loads(evaluation_file.to_text(evaluation))["figures"]
        both = {"a": evaluation, "b": evaluation}
        comparability.check_alike(both)
        text, beside = table.text(evaluation), table.comparison(both)
        taken = set()
        for name, kind in kinds.FIGURES.items():
            names = _names(name, listed)
            taken.update(names)
            self.assertEqual(bool(names), name not in _NOT_EVALUATED, name)
            for figure in names:
                row = written[figure]
                has_value = kind.exists_for(config)
                self.assertEqual(row["value"] is not None, has_value, figure)
                is_sure = has_value and kind.has_interval
                self.assertEqual(row["interval"] is not None, is_sure, figure)
                value = table.number(row["value"])
                shown = rf"\n  {re.escape(row['text'])} +{re.escape(value)}"
                self.assertRegex(text, rf"{shown} ±" if is_sure else rf"{shown}\b")
                shown += rf" +{re.escape(value)}"
                same = " +0.00 ± 0 .*no difference shown"
                self.assertRegex(beside, shown + (same if is_sure else r"\b"))
                self.assertEqual(row["better"], kind.better)
        # And none that the table doesn't know.
        self.assertEqual(taken, {figure.name for figure in listed})
        self.assertEqual(taken, set(written))


if __name__ == "__main__":
    tf.test.main()
