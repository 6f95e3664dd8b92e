"""Whether a model copies its training images, and what there is twice in its data.

Images are compared by fingerprints (see `Fingerprints`), in one pass over the training
images. Two questions are asked of images of random z:

How many are copies? Those whose nearest training image is as near as copies are. The
same share of held-out images, which nobody copied, says how many that is by chance:
duplicates that the data set has, or images that are all alike.

Are they nearer to training images than to others? Held-out and training images come
from one distribution; had the model seen neither, each real image would be as likely to
be the nearest one of a sample as any other. So of as many training as held-out images,
half of the nearest would be training images (the share of records nearer to training
than to holdout, Platzer & Reutterer, 2021, section 3.2). Distances of samples are not
compared with those of held-out images, as in the test of Meehan, Chaudhuri & Dasgupta
(2020): images of a VAE are blurred, so nearer to everything, copied or not.
"""

from collections.abc import Callable, Iterable

import attrs
import numpy as np

from vae_prod.evaluation import held_out
from vae_prod.reporting import image_grids

# Of a normal distribution, what holds 95 % of it.
_DEVIATES = 1.959964


@attrs.frozen
class Fingerprints:
    """How images are compared.

    Attributes:
        describe: uint8 [B, H, W, C] to float32 [B, D], of length 1, or near 0 where
            there is nothing to see.
        variants: float32 [B, D] to [V, B, D], those of the same images changed as a
            copy may be.
        same: Euclidean distance below which images are copies of one.
        duplicates: float16 [N, D] to pairs that are copies, int64 [P, 2].
    """

    describe: Callable[[np.ndarray], np.ndarray]
    variants: Callable[[np.ndarray], np.ndarray]
    same: float
    duplicates: Callable[[np.ndarray], np.ndarray]


@attrs.frozen(eq=False)
class Memorisation:
    """What was found.

    Attributes:
        num_held_out: Held-out images.
        num_training: Training images that were looked at.
        nearest: int64 [samples], number of the training image nearest to each sample.
        distances: float32 [samples], how near it is.
        copies: int64 [C], samples that are copies, nearest first.
        nearer_to_training: Of samples' nearest images, the share that training images
            are, were there as many of them as of held-out ones: 0.5 where nothing was
            memorised, 1 at most.
        chance: Lowest and highest that it would be where nothing was memorised, in 95
            of 100 data sets.
        training_pairs: int64 [P, 2], training images that are copies of each other.
        held_out_pairs: int64 [P, 2], held-out images and training images that are
            copies of each other.
    """

    num_held_out: int
    num_training: int
    nearest: np.ndarray
    distances: np.ndarray
    copies: np.ndarray
    nearer_to_training: float
    chance: tuple[float, float]
    training_pairs: np.ndarray
    held_out_pairs: np.ndarray

    @property
    def num_samples(self) -> int:
        """Images of random z."""
        return len(self.nearest)

    @property
    def copied(self) -> float:
        """Share of samples that are copies of training images."""
        return len(self.copies) / self.num_samples

    @property
    def training_duplicates(self) -> int:
        """Training images of which there is a copy among the others."""
        return len(np.unique(self.training_pairs))

    @property
    def held_out_duplicates(self) -> int:
        """Held-out images of which there is a copy among the training images."""
        return len(np.unique(self.held_out_pairs[:, 0]))


class Samples:
    """Fingerprints of images of random z and of held-out images.

    Memory: 4 bytes times the fingerprint's size for each held-out image, and 18 times
    that for each sample.

    Args:
        fingerprints: How images are compared.
        limit: Images of random z, at most.
    """

    def __init__(self, fingerprints: Fingerprints, limit: int):
        self._fingerprints = fingerprints
        self._limit = limit
        self._count = 0
        self._held_out: list[np.ndarray] = []
        self._samples: list[np.ndarray] = []

    def add(self, batch: held_out.Batch) -> None:
        """Add a batch, and as many images of random z."""
        size = min(len(batch), self._limit - self._count)
        describe = self._fingerprints.describe
        self._held_out.append(describe(image_grids.to_uint8(batch.targets)))
        if size:
            samples = image_grids.to_uint8(batch.samples(size))
            self._samples.append(describe(samples))
            self._count += size

    def compare(self, training: Iterable[np.ndarray], every: int) -> Memorisation:
        """Compare with the training images, in one pass.

        Memory: 2 bytes times the fingerprint's size for each training image.

        Args:
            training: Batches of training images, uint8 [B, H, W, C].
            every: Their numbers are 0, `every`, 2 `every`, ...
        """
        held = np.concatenate(self._held_out)
        samples = np.concatenate(self._samples)
        variants = self._fingerprints.variants(samples)
        to_held, to_training = Nearest(variants), Nearest(variants)
        for described in self._held_out:
            to_held.add(described)
        seen = []
        for images in training:
            described = self._fingerprints.describe(images)
            to_training.add(described)
            seen.append(described.astype(np.float16))
        seen.append(held.astype(np.float16))
        pairs = self._fingerprints.duplicates(np.concatenate(seen))
        count, distances = to_training.count, to_training.distances
        is_held = pairs >= count
        across = pairs[is_held[:, 1] & ~is_held[:, 0]]
        nearer, chance = nearer_to(to_training, to_held)
        order = np.argsort(distances, kind="stable")
        return Memorisation(
            num_held_out=len(held),
            num_training=count,
            nearest=to_training.numbers * every,
            distances=distances,
            copies=order[distances[order] < self._fingerprints.same],
            nearer_to_training=nearer,
            chance=chance,
            training_pairs=pairs[~is_held[:, 1]] * every,
            held_out_pairs=(across[:, ::-1] - [count, 0]) * [1, every],
        )


class Nearest:
    """The nearest of images that arrive in batches, for each of some queries."""

    def __init__(self, variants: np.ndarray):
        self._variants = variants
        self.count = 0
        self.numbers = np.zeros(variants.shape[1], np.int64)
        self.distances = np.full(variants.shape[1], np.inf, np.float32)

    def add(self, described: np.ndarray) -> None:
        """Add a batch, float32 [B, D]."""
        count, queries, size = self._variants.shape
        products = self._variants.reshape(-1, size) @ described.T
        products -= np.square(described).sum(axis=1) / 2
        best = products.reshape(count, queries, -1).max(axis=0)
        nearest = best.argmax(axis=1)
        lengths = np.square(self._variants[0]).sum(axis=1)
        distances = np.sqrt(np.maximum(lengths - 2 * best.max(axis=1), 0))
        closer = distances < self.distances
        self.numbers[closer] = self.count + nearest[closer]
        self.distances[closer] = distances[closer]
        self.count += len(described)


def nearer_to(training: Nearest, held: Nearest) -> tuple[float, tuple[float, float]]:
    """Return the share of nearest images that are training ones, at equal numbers.

    With it, where it lies by chance: which images are held out doesn't matter then, so
    each image that is the nearest of some samples is a training image with the
    probability that any is. Samples around one image are one draw, however many.
    """
    # Ties go to the held-out image; it is in both sets.
    is_training = training.distances < held.distances
    nearest = np.where(is_training, training.numbers, training.count + held.numbers)
    _, samples = np.unique(nearest, return_counts=True)
    total, share = training.count + held.count, is_training.mean()
    expected = training.count / total
    deviation = np.sqrt(expected * (1 - expected) * np.square(samples).sum())
    reach = _DEVIATES * deviation / samples.sum()

    def at_equal_numbers(share: float) -> float:
        share = min(max(share, 0.0), 1.0)
        of_training, of_held = share / training.count, (1 - share) / held.count
        return float(of_training / (of_training + of_held))

    chance = at_equal_numbers(expected - reach), at_equal_numbers(expected + reach)
    return at_equal_numbers(share), chance
