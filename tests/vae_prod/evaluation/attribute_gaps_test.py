import attrs
import numpy as np
import tensorflow as tf

from vae_prod.evaluation import attribute_gaps, resampling


@attrs.frozen
class _Batch:
    """Images whose reconstructions are off by an error each."""

    first: int
    errors: np.ndarray
    attributes: np.ndarray

    def __len__(self) -> int:
        return len(self.errors)

    @property
    def counts(self) -> np.ndarray:
        return resampling.counts(1, resampling.REAL, self.first, len(self))

    @property
    def clean(self) -> np.ndarray:
        return np.zeros((len(self), 4, 4, 1), np.float32)

    @property
    def reconstructions(self) -> np.ndarray:
        return self.clean + np.sqrt(self.errors)[:, None, None, None]


def _gaps(names, psnr, attributes, size=32) -> list[attribute_gaps.Gap]:
    gaps = attribute_gaps.AttributeGaps(names)
    errors = 10.0 ** (-np.asarray(psnr) / 10)
    for first in range(0, len(errors), size):
        part = slice(first, first + size)
        gaps.add(_Batch(first, errors[part], attributes[part]))
    return gaps.result()


class AttributeGapsTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        generator = np.random.default_rng(0)
        self.attributes = generator.integers(0, 2, (400, 3))
        # Images with the first are 2 dB worse, with the second 1 dB better.
        self.psnr = (
            20.0 + self.attributes @ [-2.0, 1.0, 0.0] + generator.normal(0, 0.5, 400)
        )

    def test_gaps_are_known_and_sorted(self):
        gaps = _gaps(("Bangs", "Smiling", "Young"), self.psnr, self.attributes)
        self.assertEqual([gap.name for gap in gaps], ["Bangs", "Smiling", "Young"])
        for gap, column in zip(gaps, self.attributes.T, strict=True):
            parts = [self.psnr[column == value] for value in (0, 1)]
            self.assertAllClose(gap.gap, parts[1].mean() - parts[0].mean(), atol=1e-4)
            self.assertEqual(gap.num_images, column.sum())
            error = np.sqrt(sum(part.var() / len(part) for part in parts))
            self.assertAllClose(gap.high - gap.low, 2 * 1.96 * error, rtol=0.25)
            self.assertAllClose((gap.high + gap.low) / 2, gap.gap)

    def test_batches_of_any_size_give_the_same(self):
        names = ("Bangs", "Smiling", "Young")
        expected = _gaps(names, self.psnr, self.attributes, size=400)
        for one, other in zip(
            _gaps(names, self.psnr, self.attributes, size=7), expected, strict=True
        ):
            self.assertEqual(one.name, other.name)
            self.assertAllClose(one.low, other.low)

    def test_what_few_images_have_or_have_not_is_left_out(self):
        self.attributes[:, 0] = np.arange(400) < attribute_gaps.FEWEST - 1
        self.attributes[:, 1] = np.arange(400) >= attribute_gaps.FEWEST
        self.attributes[:, 2] = 1
        gaps = _gaps(("Bangs", "Smiling", "Young"), self.psnr, self.attributes)
        self.assertEqual([gap.name for gap in gaps], ["Smiling"])


if __name__ == "__main__":
    tf.test.main()
