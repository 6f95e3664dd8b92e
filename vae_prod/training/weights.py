"""Weights of a run on disk: the best and the last saved, loaded again; early stopping.

A folder holds `vae.weights.h5`, the same for the encoder and the decoder alone,
`epoch.json`, and the digests of these.
"""

import io
import json
import os
import shutil

import h5py
import keras
from keras.src.saving import saving_lib

from pipelines import files
from vae_prod.core import seals
from vae_prod.model import vae as vae_lib
from vae_prod.optim import adam
from vae_prod.training import checkpoints

_MONITORED = "total_loss"
_PARTS = ("vae", "encoder", "decoder")


class SavedWeights(keras.callbacks.Callback):
    """Saves `weights/last` each epoch and `weights/best`, and stops early.

    Saved are the averaged weights where an average is kept.

    Best is the lowest validation `total_loss`, which always uses the final fact;
    without validation data, the lowest training `total_loss`.

    Args:
        run_dir: The run directory.
        early_stopping: Holds the best so far, over restarts.
        patience: Epochs without a better loss before stopping; 0: never.
    """

    def __init__(
        self,
        run_dir: str,
        early_stopping: checkpoints.EarlyStopping,
        patience: int,
    ):
        super().__init__()
        self.directory = os.path.join(run_dir, "weights")
        self.early_stopping = early_stopping
        self.patience = patience

    def on_train_begin(self, logs=None):
        """Make the copy that is saved: without the optimizer, in float32."""
        self.plain = self.model.with_precision("float32")

    def on_epoch_end(self, epoch, logs=None):
        """Save, and compare with the best."""
        with adam.averaged(self.model):
            self.plain.set_weights(self.model.get_weights())
        loss = logs.get(f"val_{_MONITORED}", logs[_MONITORED])
        self._save(epoch, loss)
        if self.early_stopping.update(loss, epoch + 1):
            self._keep_as_best()
        if self.early_stopping.has_stalled(self.patience):
            self.model.stop_training = True

    def _save(self, epoch: int, loss: float) -> None:
        parts = (self.plain, self.plain.encoder, self.plain.decoder)
        with files.new_folder(os.path.join(self.directory, "last")) as folder:
            for name, part in zip(_PARTS, parts, strict=True):
                save(part, os.path.join(folder, f"{name}.weights.h5"))
            with open(os.path.join(folder, "epoch.json"), "w") as file:
                json.dump({"epoch": epoch + 1, _MONITORED: loss}, file)
            seals.write(folder)

    def _keep_as_best(self) -> None:
        last, best = (os.path.join(self.directory, kind) for kind in ("last", "best"))
        with files.new_folder(best) as folder:
            shutil.copytree(last, folder, dirs_exist_ok=True)


def save(model: keras.Model, path: str) -> None:
    """Write the weights of a model, as Keras' `save_weights` does.

    Where a disk is full, HDF5 ends the process with a segmentation fault. So it writes
    to memory, as much as the weights take, and Python from there. Keras does that for
    `.keras` files only, by the functions that are called here.

    Args:
        model: The model.
        path: A new file.
    """
    content = io.BytesIO()
    store = saving_lib.H5IOStore(content, mode="w")
    saving_lib._save_state(model, store, None, inner_path="", visited_saveables=set())
    store.close()
    with open(path, "wb") as file:
        file.write(content.getbuffer())


def load(model: vae_lib.VAE, path: str) -> None:
    """Load weights, and nothing else, into a model.

    Args:
        model: Its architecture must be that of the weights.
        path: A `vae.weights.h5`; digests beside it are compared.

    Raises:
        UserError: The file is missing, damaged or of another architecture.
    """
    if not os.path.isfile(path):
        raise files.UserError(f"Expected saved weights in {path}, found no such file.")
    folder, name = os.path.split(path)
    if seals.is_sealed(folder) and (damage := seals.damage(folder, [name])):
        raise files.UserError(
            f"Expected the weights that were saved in {path}, they are damaged "
            f"({damage}). Bring them back, or take others (--weights, --init_from)."
        )
    # Into a copy: a compiled model would look for its optimizer's variables too.
    plain = model.with_precision("float32")
    try:
        # Keras fills what fits and passes over the rest.
        if _stored_shapes(path) != sorted(tuple(w.shape) for w in plain.weights):
            raise ValueError("the arrays have other shapes")
        plain.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise files.UserError(
            f"Expected weights of this model's architecture in {path}, they can't be "
            f"loaded ({reason}). Use the settings they were trained with."
        ) from error
    model.set_weights(plain.get_weights())


def _stored_shapes(path: str) -> list[tuple[int, ...]]:
    """Return the shapes of all arrays in a weights file, sorted."""
    shapes = []
    with h5py.File(path) as file:
        file.visititems(lambda _, item: shapes.append(getattr(item, "shape", None)))
    return sorted(shape for shape in shapes if shape is not None)
