"""Densities fitted to the points of encoded images, to draw new ones from.

Random z of N(0, I) give no images where training had no reason to bring the encoded
images there: an autoencoder, or a VAE of small `fact`. A density fitted after training
to where they are mends that (Ghosh et al., 2020, "From variational to deterministic
autoencoders", section 4).

Of a VAE the aggregate posterior is fitted, the mean of all images' posteriors, for that
is what the decoder was trained on; of an autoencoder, which has no posteriors, z_mean.
"""

import functools
import math
import warnings
from collections.abc import Mapping, Sequence

import attrs
import numpy as np
import tensorflow as tf

from pipelines import files
from vae_prod.core import artefacts
from vae_prod.latent import sampling, statistics

COVARIANCES = ("auto", "full", "tied", "diag", "spherical")
# Of a full covariance each component has its own from this many points a dimension on;
# from fewer it would fit their chance, and held-out points would be far outside.
_ENOUGH_POINTS = 5

# Stream of the draws that choose a component, beside those of `sampling`.
_COMPONENT = 104
# Of the mean variance, added to each: densities stay finite where points lie in a
# subspace, as they do where there are fewer of them than dimensions.
_RIDGE = 1e-6
_FILES = ("weights", "means", "factors")


@attrs.frozen(eq=False)
class Density:
    """A mixture of Gaussians; of one component, a Gaussian.

    Attributes:
        weights: float64 [K], of the components, which sum to 1.
        means: float64 [K, z_dim].
        factors: float64 [K, z_dim, z_dim], lower triangular: each component's
            covariance is factor factor^T.
        made: How it was made.
    """

    log_prob_text = "log-density"

    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    made: Mapping = attrs.field(factory=dict)

    @property
    def z_dim(self) -> int:
        """Dimensions of the latent space."""
        return self.means.shape[1]

    def sample(self, seeds: tf.Tensor) -> tf.Tensor:
        """Draw one point per seed, each a function of its own seed alone.

        A seed's point is `sampling.prior`'s, multiplied by its component's factor and
        added to its mean. Works eagerly and in graphs.

        Args:
            seeds: int64 [N].

        Returns:
            z float32 [N, z_dim].
        """
        arrays = map(tf.constant, self.arrays())
        return _sample(tf.cast(seeds, tf.int64), list(arrays), self.z_dim)

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what `draw` takes, float32.

        The components' weights added up, without the last, [K - 1]; means; factors.
        """
        return (
            np.asarray(np.cumsum(self.weights)[:-1], np.float32),
            np.asarray(self.means, np.float32),
            np.asarray(self.factors, np.float32),
        )

    @staticmethod
    def draw(
        seed: tf.Tensor,
        arrays: Sequence[tf.Tensor],
        temperature: tf.Tensor | float = 1.0,
    ) -> tf.Tensor:
        """Draw a seed's point.

        Args:
            seed: int64 [].
            arrays: What `arrays` gives, as tensors.
            temperature: float32 [], what the distance from the component's mean is
                multiplied by.

        Returns:
            z float32 [z_dim].
        """
        cumulative, means, factors = arrays
        # An integer: those are the same with and without XLA.
        bits = tf.random.stateless_uniform(
            [],
            tf.stack([seed, _COMPONENT]),
            minval=None,
            maxval=None,
            dtype=tf.uint32,
            alg="philox",
        )
        place = tf.cast(bits, tf.float32) * 2.0**-32
        component = tf.reduce_sum(tf.cast(place >= cumulative, tf.int32))
        noise = sampling.normal(seed, means.shape[1])
        away = tf.linalg.matvec(tf.gather(factors, component), noise)
        return tf.gather(means, component) + temperature * away

    def log_prob(self, z: np.ndarray) -> np.ndarray:
        """Return the log-density of points.

        Args:
            z: float [N, z_dim]; work memory is a few times its size.

        Returns:
            float64 [N], nats.
        """
        from scipy import linalg, special

        z = np.asarray(z, np.float64)
        constant = 0.5 * self.z_dim * math.log(2 * math.pi)
        terms = []
        for mean, factor in zip(self.means, self.factors, strict=True):
            white = linalg.solve_triangular(factor, (z - mean).T, lower=True)
            log_volume = np.log(np.diag(factor)).sum() + constant
            terms.append(-0.5 * np.square(white).sum(axis=0) - log_volume)
        return special.logsumexp(terms, axis=0, b=self.weights[:, None])

    def save(self, path: str) -> None:
        """Write to a folder, aside first; an older density there is replaced."""
        arrays = {name: getattr(self, name) for name in _FILES}
        artefacts.save(path, arrays, self.made)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], made: Mapping) -> "Density":
        """Make it of what `save` wrote.

        Raises:
            ValueError: These are other arrays.
        """
        if set(arrays) != set(_FILES):
            raise ValueError(f"it holds {sorted(arrays)}")
        return cls(**arrays, made=made)


@functools.partial(tf.function, reduce_retracing=True)
def _sample(seeds, arrays, z_dim):
    return sampling.draw_each(lambda s: Density.draw(s, arrays), seeds, z_dim)


def fit_gaussian(
    z_mean: np.ndarray,
    z_log_var: np.ndarray | None = None,
    made: Mapping | None = None,
) -> Density:
    """Fit a Gaussian of full covariance: exact moments of all points, streamed.

    Args:
        z_mean: float [N, z_dim], may be mapped from disk; at least 2 points.
        z_log_var: Like it, of a VAE: its mean variance is added to each dimension's.
        made: How the points were made, kept with the density.

    Raises:
        UserError: There are too few points, or they are all the same.
    """
    moments = statistics.covariance(z_mean)
    matrix = moments.matrix
    if z_log_var is not None:
        matrix = matrix + np.diag(statistics.mean_variance(z_log_var))
    matrix[np.diag_indices_from(matrix)] += ridge(np.diag(matrix), moments.count)
    described = {"kind": "gaussian", "num_points": moments.count}
    return Density(
        np.ones(1),
        moments.mean[None],
        np.linalg.cholesky(matrix)[None],
        {**(made or {}), **described},
    )


def fit_mixture(
    z_mean: np.ndarray,
    z_log_var: np.ndarray | None = None,
    *,
    components: int = 10,
    covariance: str = "auto",
    num_points: int = 20_000,
    seed: int = 1,
    made: Mapping | None = None,
) -> Density:
    """Fit a Gaussian mixture by expectation maximisation, with scikit-learn.

    Args:
        z_mean: float [N, z_dim], may be mapped from disk.
        z_log_var: Like it, of a VAE: a point of each chosen image is drawn from its
            posterior.
        components: Gaussians of the mixture.
        covariance: Their form, one of `COVARIANCES`; tied: a full one, the same for
            all; auto: full, or tied where a component has fewer than 5 z_dim points.
        num_points: Images to fit to, picked at random; all if there are fewer.
        seed: Of the choice, of the drawn points and of the first components.
        made: How the points were made, kept with the density.

    Returns:
        The density; `made["converged"]` says whether a hundred iterations sufficed.

    Raises:
        UserError: There are fewer points than components, or they are all the same.
    """
    num_points = min(num_points, len(z_mean))
    if not 1 <= components <= num_points:
        raise files.UserError(
            f"Expected from 1 to {num_points} components, the number of points to fit "
            f"to, received {components}. Lower it, or fit to more points."
        )
    points = draw_points(z_mean, z_log_var, num_points, seed)
    if covariance == "auto":
        enough = num_points >= _ENOUGH_POINTS * components * points.shape[1]
        covariance = "full" if enough else "tied"
    fitted = _maximised(points, components, covariance, seed)
    described = {
        "kind": "mixture",
        "num_points": num_points,
        "components": components,
        "covariance": covariance,
        "seed": seed,
        "converged": bool(fitted.converged_),
    }
    return Density(
        fitted.weights_,
        fitted.means_,
        _factors(fitted),
        {**(made or {}), **described},
    )


def _maximised(points: np.ndarray, components: int, covariance: str, seed: int):
    """Return scikit-learn's mixture of the points."""
    from sklearn import exceptions, mixture

    fitted = mixture.GaussianMixture(
        components,
        covariance_type=covariance,
        reg_covar=ridge(points.var(axis=0), len(points)),
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ConvergenceWarning)
        return fitted.fit(points)


def draw_points(
    z_mean: np.ndarray, z_log_var: np.ndarray | None, num_points: int, seed: int
) -> np.ndarray:
    """Pick encoded images at random; of a VAE, draw a point of each one's posterior.

    Args:
        z_mean: float [N, z_dim], may be mapped from disk.
        z_log_var: Like it, of a VAE.
        num_points: How many; all if there are fewer.
        seed: Of the choice and of the drawn points.

    Returns:
        float64 [num_points, z_dim].
    """
    num_points = min(num_points, len(z_mean))
    rows = statistics.choose_rows(len(z_mean), num_points, seed, "a density")
    points = np.asarray(z_mean[rows], np.float64)
    if z_log_var is None:
        return points
    # In the upper half of 64 bits, the sign's among them.
    first = np.uint64((seed << 32) % 2**64).astype(np.int64)
    return sampling.posterior(rows + first, points, z_log_var[rows])


def ridge(variances: np.ndarray, count: int) -> float:
    """Return what to add to variances, so that none of them is 0.

    Args:
        variances: float64 [z_dim], of the points.
        count: How many points there are.

    Raises:
        UserError: There are too few, or they are all the same.
    """
    if count < 2 or not variances.any():
        raise files.UserError(
            f"Expected encoded images that differ, to fit a density to, received "
            f"{count} of one point. Encode more images."
        )
    return _RIDGE * float(variances.mean())


def _factors(fitted) -> np.ndarray:
    """Return each component's triangular factor, whatever form its covariance has."""
    num, z_dim = fitted.means_.shape
    covariances = {
        "full": lambda c: c,
        "tied": lambda c: np.broadcast_to(c, (num, z_dim, z_dim)),
        "diag": lambda c: c[:, :, None] * np.eye(z_dim),
        "spherical": lambda c: c[:, None, None] * np.eye(z_dim),
    }[fitted.covariance_type](fitted.covariances_)
    return np.linalg.cholesky(covariances)
