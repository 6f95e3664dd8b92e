"""All studies, a row each. Nothing here imports a study's module, or TensorFlow."""

import importlib
import textwrap
from types import ModuleType

import attrs

# What a study looks at.
ONE_RUN = "one run, trained or given"
GIVEN_RUN = "one run that is finished"
SEVERAL_RUNS = "several runs that it trains"

_WIDTH, _INDENT = 88, 23


@attrs.frozen(kw_only=True)
class Study:
    """What is known of a study without running it.

    Attributes:
        name: Its name, as --study takes it.
        module: The module of this package that makes it.
        title: Title of its report; `{run}` stands for the name of the run.
        description: What it shows, a line.
        runs: What it looks at: `ONE_RUN`, `GIVEN_RUN` or `SEVERAL_RUNS`.
        defaults: Flags of training that have other defaults for it.
        settings: Fields of `config.StudyConfig` that it reads and most others don't.
        needs_annotations: Whether the data set must have labels or attributes.
        is_measured: Whether models are compared by their images: these must be large
            and many enough, see `tools.evaluating.check_images`.
    """

    name: str
    module: str
    title: str
    description: str
    runs: str
    defaults: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    needs_annotations: bool = False
    is_measured: bool = False

    def load(self) -> ModuleType:
        """Import its module, which imports TensorFlow."""
        return importlib.import_module(f"tools.studies.{self.module}")


_ALL = (
    Study(
        name="reconstruction",
        module="reconstruction",
        title="Reconstruction",
        description="what comes back of training images and of new ones",
        runs=ONE_RUN,
        is_measured=True,
    ),
    Study(
        name="generation",
        module="generation",
        title="Generation",
        description="images of random z: normal, uniform in growing boxes, sharpened",
        runs=ONE_RUN,
        settings=("limits", "sharpness"),
    ),
    Study(
        name="latent_space",
        module="latent_space",
        title="Latent space",
        description="radii, coordinates, clusters, principal components, t-SNE",
        runs=ONE_RUN,
        settings=("clusters", "tsne_points", "attributes"),
    ),
    Study(
        name="attributes",
        module="attributes",
        title="Latent arithmetic",
        description="latent arithmetic: add or take away an attribute; interpolation",
        runs=ONE_RUN,
        settings=("attributes", "strengths"),
        needs_annotations=True,
    ),
    Study(
        name="samplers",
        module="samplers",
        title="Samplers",
        description="prior against densities fitted to the encoded images",
        runs=ONE_RUN,
        settings=("components", "second_stage_epochs"),
    ),
    Study(
        name="report",
        module="run_report",
        title="Run {run}",
        description="a finished run: settings, curves, pictures and figures",
        runs=GIVEN_RUN,
        is_measured=True,
    ),
    Study(
        name="decoder_artifacts",
        module="decoder_artifacts",
        title="Decoder artefacts",
        description="both decoders, same training: checkerboards side by side",
        runs=SEVERAL_RUNS,
        is_measured=True,
    ),
    Study(
        name="ae_vs_vae",
        module="ae_vs_vae",
        title="Autoencoder against VAE",
        description="autoencoder, VAE with a tiny KL loss, VAE",
        runs=SEVERAL_RUNS,
        is_measured=True,
    ),
    Study(
        name="plane",
        module="plane",
        title="Latent plane",
        description="a latent space of two dimensions, AE and VAE, by label",
        runs=SEVERAL_RUNS,
        defaults=("--recipe=fashion_2d",),
        settings=("attributes",),
        needs_annotations=True,
    ),
    Study(
        name="fact_sweep",
        module="fact_sweep",
        title="Sweep over fact",
        description="reconstruction against sample quality, over fact",
        runs=SEVERAL_RUNS,
        settings=("facts",),
        is_measured=True,
    ),
    Study(
        name="measures",
        module="measures",
        title="Measures",
        description="which measures of sets of images agree with the eye",
        runs=SEVERAL_RUNS,
        settings=("repeats",),
        is_measured=True,
    ),
    Study(
        name="denoise",
        module="denoise",
        title="Denoising",
        description="images restored from noise and from dropped pixels",
        runs=SEVERAL_RUNS,
        defaults=("--mode=ae", "--z_dim=512"),
    ),
    Study(
        name="recolour",
        module="recolour",
        title="Re-colouring",
        description="grey images given their colours",
        runs=SEVERAL_RUNS,
        defaults=("--mode=ae", "--z_dim=512", "--corruption=grayscale"),
    ),
)
STUDIES = {study.name: study for study in _ALL}


def readers() -> dict[str, list[str]]:
    """Return the studies that read a setting, for each that only some read."""
    studies = {}
    for study in STUDIES.values():
        for setting in study.settings:
            studies.setdefault(setting, []).append(study.name)
    return studies


def help_text() -> str:
    """Return the studies with what each shows, for --help."""
    lines = []
    for runs in (ONE_RUN, GIVEN_RUN, SEVERAL_RUNS):
        lines.append(f"Studies of {runs}:")
        lines += [_help_line(s) for s in STUDIES.values() if s.runs == runs]
    return "\n".join(lines)


def _help_line(study: Study) -> str:
    defaults = f" ({' '.join(study.defaults)})" if study.defaults else ""
    return textwrap.fill(
        f"{study.description}{defaults}",
        _WIDTH,
        initial_indent=f"    {study.name}".ljust(_INDENT),
        subsequent_indent=" " * _INDENT,
        break_on_hyphens=False,
    )
