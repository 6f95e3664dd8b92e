"""Names of attributes in any script, with any signs, from a data set to its export."""

import os

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from pipelines import config as data_config_lib
from pipelines import shards
from tests.tools import train_test
from tests.vae_prod import tiny
from tests.vae_prod.serving import tiny_exports
from tools import (
    convert_celeba,
    encode,
    evaluate,
    export,
    fit_attributes,
    generate,
    study,
)
from vae_prod import config as config_lib
from vae_prod.model import vae as vae_lib
from vae_prod.serving import description
from vae_prod.training import run_directory

_NAMES = ("Größe", "smile%open", "a:b", "😀", "x.y", "..", "9lives", "a[1]*?")


def _write_source(folder):
    images = os.path.join(folder, "img_align_celeba")
    os.makedirs(images)
    random = np.random.default_rng(0)
    files = [f"{number:06d}.png" for number in range(40)]
    for name in files:
        picture = Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8))
        picture.save(os.path.join(images, name))
    values = random.choice([1, -1], (40, len(_NAMES)))
    rows = [
        f"{n} {' '.join(map(str, row))}" for n, row in zip(files, values, strict=True)
    ]
    table = "\n".join(["40", " ".join(_NAMES), *rows, ""])
    with open(f"{folder}/list_attr_celeba.txt", "w", encoding="utf-8") as file:
        file.write(table)
    splits = (f"{name} {number // 30}\n" for number, name in enumerate(files))
    with open(os.path.join(folder, "list_eval_partition.txt"), "w") as file:
        file.writelines(splits)
    return folder


def _write_run(run_dir, data_dir):
    """Write a run without training it."""
    keras.utils.set_random_seed(3)
    model = vae_lib.VAE(tiny.config())
    train, data = config_lib.TrainConfig(), data_config_lib.DataConfig(batch_size=4)
    digest = shards.load_manifest(data_dir).digest()
    weights = os.path.join(run_dir, "weights", "best")
    os.makedirs(weights)
    run_directory.write(
        run_dir, run_directory.Run(model.config, train, data, data_dir, digest), ""
    )
    model.save_weights(os.path.join(weights, "vae.weights.h5"))
    with open(os.path.join(run_dir, "history.csv"), "w") as file:
        file.write("epoch,total_loss\n1,2.0\n")


class NamesTest(tf.test.TestCase):
    def _run(self, program, *argv):
        code, printed, err = train_test.run_program(program, *argv)
        self.assertEqual(code, 0, err)
        return printed

    def test_any_attribute_through_all_programs(self):
        folder = os.path.join(self.create_tempdir().full_path, "Übung 😀")
        data, run_dir = (os.path.join(folder, name) for name in ("data", "run"))
        source = _write_source(os.path.join(folder, "source"))
        argv = ("--image_size=8", "--encoding=raw", "--workers=1")
        self._run(convert_celeba, f"--source={source}", f"--out={data}", *argv)
        self.assertEqual(shards.load_manifest(data).record.attributes, _NAMES)
        _write_run(run_dir, data)
        run = f"--run_dir={run_dir}"
        self._run(encode, run)
        self._run(fit_attributes, run)
        judged = ("--split=validation", "--judge=gradients")
        self.assertIn("PSNR", self._run(evaluate, run, *judged))

        shown = ("--rows=1", "--columns=2", "--weights=best", "--measured_images=7")
        named = f"--attributes={','.join(_NAMES)}"
        argv = ("--study=attributes", run, named, *shown, judged[1])
        self._run(study, *argv)
        pictures = os.listdir(
            os.path.join(run_dir, "studies", "attributes", "pictures")
        )
        edits = {name for name in pictures if name.startswith("edit_")}
        self.assertLen(edits, len(_NAMES))
        self.assertIn("edit_smile-25-open.png", edits)

        with tiny_exports.little():
            self._run(export, run)
        version = os.path.join(run_dir, "export", "1")
        self.assertEqual(set(description.load(version).attributes), set(_NAMES))
        drawn = ("--kinds=prior", *shown[:2], f"--out={folder}/drawn")
        self._run(generate, f"--export_dir={version}", *drawn)


if __name__ == "__main__":
    tf.test.main()
