import attrs
import tensorflow as tf
from absl.testing import parameterized

from pipelines import settings


@attrs.frozen
class _Config:
    seed: int = settings.seed()
    rate: float = settings.setting(0.5, "A rate.", settings.above_zero)


class SettingsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(0, settings.LARGEST_SEED)
    def test_takes_every_seed_of_numpy(self, seed):
        self.assertEqual(_Config(seed).seed, seed)

    @parameterized.parameters(
        {"seed": -1},
        {"seed": settings.LARGEST_SEED + 1},
        {"rate": 0.0},
        {"rate": float("nan")},
        {"rate": float("inf")},
    )
    def test_refuses(self, **values):
        with self.assertRaisesRegex(ValueError, f"'{next(iter(values))}' must be"):
            _Config(**values)

    def test_seeds_go_on_at_0_after_the_last(self):
        last = settings.LARGEST_SEED
        later = [settings.later_seed(last - 1, number) for number in range(4)]
        self.assertEqual(later, [last - 1, last, 0, 1])


if __name__ == "__main__":
    tf.test.main()
