"""Fit the vectors of attributes, which add an attribute to an image's latent point.

    python -m tools.encode --run_dir=RUN
    python -m tools.fit_attributes --run_dir=RUN

A vector goes from the mean of the images without an attribute to the mean of those with
it. Writes RUN/attributes/SPLIT/; tools.export serves them as `edit`, and tools.study
--study=attributes shows what they do.
"""

import os
import sys

from tools import flags, program


def define(values):
    """Define this program's flags."""
    flags.add(values, "run_dir", "", "Run directory, with encodings by tools.encode.")
    text = "Encoded split to average over; only those of train are exported."
    flags.add(values, "split", "train", text)


def main(values):
    """Fit what the flags say."""
    flags.require(values, "run_dir")
    program.import_tensorflow()
    from pipelines import files, folders
    from vae_prod.core import artefacts
    from vae_prod.latent import arithmetic, encodings

    path = os.path.join(values.run_dir, "encodings", values.split)
    encode = f"python -m tools.encode --run_dir={values.run_dir} --split={values.split}"
    encoding = encodings.open_encoding(path, f"Make it with {encode}.")
    names = encoding.made["attribute_names"]
    if encoding.attributes is None:
        raise files.UserError(
            f"Expected encoded images with attributes in {path}, found none of them: "
            "the data set has no attributes. Convert CelebA with its annotations."
        )
    out = arithmetic.folder(values.run_dir, values.split)
    with folders.replacing(out, artefacts.ARRAYS, "--run_dir"):
        means = arithmetic.by_attribute(
            encoding.z_mean, encoding.attributes, names, encoding.made
        )
        vectors = means.vectors()
        if not vectors:
            raise files.UserError(
                f"Expected an attribute in {path} that some images have and some "
                "haven't, found none. Encode more images."
            )
        means.save(out)
    left_out = sorted(set(names) - set(vectors))
    print(f"fitted {len(vectors)} attributes to {len(encoding.z_mean):,} images: {out}")
    if left_out:
        print(
            f"without a vector, for all images or none have it: {', '.join(left_out)}"
        )


def run():
    """Run the program."""
    sys.exit(program.run(sys.modules[__name__]))


if __name__ == "__main__":
    run()
