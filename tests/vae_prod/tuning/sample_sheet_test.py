import numpy as np
import tensorflow as tf

from tests.vae_prod import tiny
from vae_prod.tuning import sample_sheet


class SamplesTest(tf.test.TestCase):
    def test_grids_stand_side_by_side_enlarged_alike(self):
        many, few = tiny.images(4, seed=1), tiny.images(1, seed=2)
        page = sample_sheet.samples_side_by_side(
            [("best", many), ("a longer title", few)]
        )
        for images in (many, few):
            enlarged = images[0].repeat(8, axis=0).repeat(8, axis=1)
            self.assertTrue(self._contains(page, enlarged))

    def test_grey(self):
        page = sample_sheet.samples_side_by_side(
            [("grey", tiny.images(2, (64, 64, 1)))]
        )
        self.assertTrue(self._contains(page, tiny.images(2, (64, 64, 1))[1]))

    def test_long_titles_wrap(self):
        images = tiny.images(4, (32, 32, 3))
        short = sample_sheet.samples_side_by_side([("best", images)])
        long = sample_sheet.samples_side_by_side([("several words " * 8, images)])
        self.assertEqual(long.shape[1], short.shape[1])
        self.assertGreater(long.shape[0], short.shape[0])

    def _contains(self, page, part):
        windows = np.lib.stride_tricks.sliding_window_view(page[..., 0], part.shape[:2])
        return (windows == part[..., 0]).all(axis=(2, 3)).any()


if __name__ == "__main__":
    tf.test.main()
