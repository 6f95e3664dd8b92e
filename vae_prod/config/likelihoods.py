"""The likelihoods of an image given z: what each is, and which figures it has.

One table, without TensorFlow. `model.likelihoods` computes them by the same names;
flags, figures, codecs, exports and the search ask here what there is of each.
"""

import attrs


@attrs.frozen
class Likelihood:
    """What is known of a likelihood before anything is computed.

    Attributes:
        text: What it is, for `--help`.
        label: Its name in a narrow column.
        has_nats: Whether it is a log-likelihood, in nats, so that an ELBO exists; else
            it is one up to an unknown scale.
        is_density: Whether it is a density of the pixels on [0, 1], so that bits per
            dimension exist.
        has_variance: Whether it has a variance sigma^2, which the model holds.
        learns_variance: Whether that is a weight of the model, trained like others.
        facts: Lowest and highest `fact` worth trying, where that is known.
    """

    text: str
    label: str
    has_nats: bool
    is_density: bool
    has_variance: bool = False
    learns_variance: bool = False
    facts: tuple[float, float] | None = None


LIKELIHOODS = {
    "bce": Likelihood(
        "binary cross-entropy", "bce", has_nats=True, is_density=False, facts=(1.5, 6)
    ),
    "mse": Likelihood(
        "squared error", "mse", has_nats=False, is_density=False, facts=(0.01, 0.05)
    ),
    "gaussian_sigma": Likelihood(
        "Gaussian whose sigma is optimal for the batch",
        "gaussian",
        has_nats=True,
        is_density=True,
        has_variance=True,
    ),
    "gaussian_learned": Likelihood(
        "Gaussian whose sigma is learned",
        "learned",
        has_nats=True,
        is_density=True,
        has_variance=True,
        learns_variance=True,
    ),
    "continuous_bernoulli": Likelihood(
        "bce with its normalising constant",
        "continuous",
        has_nats=True,
        is_density=True,
    ),
}


def with_trait(trait: str) -> tuple[str, ...]:
    """Return the names of the likelihoods that have a trait, such as `has_nats`."""
    return tuple(
        n for n, likelihood in LIKELIHOODS.items() if getattr(likelihood, trait)
    )


def known_facts() -> str:
    """Return the values of `fact` worth trying, in words."""
    ranges = ((n, likelihood.facts) for n, likelihood in LIKELIHOODS.items())
    return ", ".join(f"{r[0]:g} to {r[1]:g} with {n}" for n, r in ranges if r)
