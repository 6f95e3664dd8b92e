"""Draw pictures from a trained model: samples, reconstructions, interpolations.

    python -m tools.generate --run_dir=RUN

Writes PNG grids to RUN/generated/:
    prior                  images of z ~ N(0, I)
    uniform_R              images of z uniform in [-R, R] per coordinate
    truncated_R            images of z ~ N(0, I) given that no coordinate is beyond R
    gaussian, mixture, two_stage
                           images of z of what tools.fit_sampler fitted
    reconstructions_SPLIT  rows of originals, each above its reconstructions
    interpolation_SPLIT    from one image (left) to another (right), straight through z
and NAME_sharpness_F for each factor of --sharpness.
"""

import functools
import os
import sys

from tools import flags, program
from vae_prod.latent import samplers

_DEFAULT = ("prior", "uniform", "reconstructions", "interpolation")
_KINDS = (*_DEFAULT, "truncated", *samplers.FITTED)


def define(values):
    """Define this program's flags."""
    flags.add_trained(values)
    flags.add(
        values,
        "out",
        "",
        "Folder for pictures; default: generated in the run directory (of an export: "
        "in the working directory).",
    )
    flags.add(
        values, "kinds", _DEFAULT, f"Which pictures to draw, of {', '.join(_KINDS)}."
    )
    flags.add(values, "splits", ("train", "test"), "Splits to take images from.")
    flags.add(
        values, "rows", 4, "Rows of a picture (pairs, for reconstructions).", least=1
    )
    flags.add(values, "columns", 7, "Images of a row.", least=2)
    limits = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 5.0, 8.0)
    text = "Values of R, for uniform and truncated."
    flags.add(values, "limits", limits, text, least=0.001)
    flags.add(
        values,
        "sharpness",
        (1.0,),
        "Factors of Pillow's sharpening; 1 is unchanged, 0 smooths (try 3,6,7).",
    )
    flags.add_seed(values, "Seed of samples and of the choice of images.")


def main(values):
    """Draw what the flags say."""
    _check(values)
    program.import_tensorflow()
    from tools import models

    trained = models.open_trained(values)
    out = values.out or os.path.join(trained.out, "generated")
    drawn = []
    for kind in values.kinds:
        draw = _DRAW.get(kind, functools.partial(_fitted, kind))
        for name, images in draw(values, trained):
            drawn += _save(values, out, name, images)
    print("\n".join(drawn))


def _check(values) -> None:
    unknown = sorted(set(values.kinds) - set(_KINDS))
    if unknown:
        raise flags.UsageError(
            f"--kinds takes {', '.join(_KINDS)}; received {', '.join(unknown)}."
        )


def _seeds(values):
    from vae_prod.latent import sampling

    return sampling.seeds(values.seed, values.rows * values.columns)


def _prior(values, trained):
    from vae_prod.latent import sampling

    z = sampling.prior(_seeds(values), trained.codec.z_dim)
    yield "prior", trained.codec.decode_many(z)


def _uniform(values, trained):
    from vae_prod.latent import sampling

    for limit in values.limits:
        z = sampling.uniform(_seeds(values), trained.codec.z_dim, limit)
        yield f"uniform_{limit:g}", trained.codec.decode_many(z)


def _truncated(values, trained):
    from vae_prod.latent import sampling

    for limit in values.limits:
        z = sampling.truncated(_seeds(values), trained.codec.z_dim, limit)
        yield f"truncated_{limit:g}", trained.codec.decode_many(z)


def _fitted(kind, values, trained):
    from pipelines import files
    from vae_prod.latent import fitted as fitted_lib

    names = ("run_dir", "export_dir", "weights", "recompute_batch_norm")
    chosen = [values[name] for name in names]
    same = " ".join(f.serialize() for f in chosen if f.value != f.default)
    remedy = (
        f"Make it with python -m tools.encode {same}, then python -m "
        f"tools.fit_sampler --run_dir={trained.out or '.'} --kind={kind}."
    )
    path = fitted_lib.folder(trained.out, kind)
    sampler = fitted_lib.load(path, kind, remedy)
    if sampler.made.get("model") != trained.codec.weights_digest():
        raise files.UserError(
            f"Expected a sampler fitted to these weights, the one in {path} belongs to "
            f"others ({sampler.made.get('weights')}). {remedy}"
        )
    yield kind, trained.codec.decode_many(sampler.sample(_seeds(values)))


def _reconstructions(values, trained):
    from tools import models
    from vae_prod.reporting import image_grids

    for split in values.splits:
        count = values.rows * values.columns
        chosen = models.choose_images(
            trained.run, values.data_dir, split, count, values.seed
        )
        inputs = chosen["image"]
        columns = min(values.columns, len(inputs))
        full = len(inputs) // columns * columns
        decoded = trained.codec.decode_many(trained.codec.encode(inputs)["z_mean"])
        shown = [inputs, image_grids.to_uint8(decoded)]
        if "target" in chosen:  # The input is corrupted: show the clean image too.
            shown.insert(0, chosen["target"])
        rows = image_grids.stacked_rows(columns, *(images[:full] for images in shown))
        yield f"reconstructions_{split}", rows


def _interpolation(values, trained):
    from tools import models
    from vae_prod.latent import sampling

    for split in values.splits:
        chosen = models.choose_images(
            trained.run, values.data_dir, split, 2 * values.rows, values.seed
        )
        z = trained.codec.encode(chosen["image"])["z_mean"]
        pairs = len(z) // 2
        if pairs:
            ends = z[:pairs], z[pairs : 2 * pairs]
            paths = sampling.interpolate(*ends, values.columns).numpy()
            images = trained.codec.decode_many(paths.reshape(-1, z.shape[-1]))
            yield f"interpolation_{split}", images


_DRAW = {
    "prior": _prior,
    "uniform": _uniform,
    "truncated": _truncated,
    "reconstructions": _reconstructions,
    "interpolation": _interpolation,
}


def _save(values, out: str, name: str, images) -> list[str]:
    from vae_prod.reporting import image_grids

    paths = []
    for factor in values.sharpness:
        shown = images if factor == 1 else image_grids.sharpen(images, factor)
        suffix = "" if factor == 1 else f"_sharpness_{factor:g}"
        paths.append(os.path.join(out, f"{name}{suffix}.png"))
        image_grids.save_png(paths[-1], image_grids.grid(shown, values.columns))
    return paths


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
