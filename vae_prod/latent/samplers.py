"""The samplers: where random points of the latent space come from, by name.

A table without TensorFlow. `sampling` draws from those that are known beforehand,
`densities` and `second_stage` are the others, which are `fitted`.
"""

import attrs


@attrs.frozen
class Sampler:
    """What is known of a sampler before anything is drawn.

    Attributes:
        text: What z it draws.
        label: Its name in tables.
        takes_limit: Whether it draws with a limit R of each coordinate.
        is_fitted: Whether it is fitted to encoded images, kept in a run's `samplers/`
            and served with an export.
    """

    text: str
    label: str
    takes_limit: bool = False
    is_fitted: bool = False


PRIOR = "prior"
SAMPLERS = {
    PRIOR: Sampler("z ~ N(0, I)", "N(0, I)"),
    "uniform": Sampler(
        "z uniform in [-R, R] per coordinate", "uniform", takes_limit=True
    ),
    "truncated": Sampler(
        "z ~ N(0, I) given that no coordinate is beyond R",
        "truncated",
        takes_limit=True,
    ),
    "gaussian": Sampler(
        "z of one Gaussian fitted to encoded images", "fitted Gaussian", is_fitted=True
    ),
    "mixture": Sampler(
        "z of a Gaussian mixture fitted to them", "fitted mixture", is_fitted=True
    ),
    "two_stage": Sampler(
        "z of a second VAE trained on them", "second stage", is_fitted=True
    ),
}
FITTED = tuple(name for name, sampler in SAMPLERS.items() if sampler.is_fitted)
