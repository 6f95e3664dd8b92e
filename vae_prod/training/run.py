"""The run: set up devices, build, compile, resume, fit."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

import attrs
import h5py
import keras
import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib
from vae_prod.model import likelihoods
from vae_prod.model import vae as vae_lib
from vae_prod.optim import adam as adam_lib
from vae_prod.optim import schedules
from vae_prod.training import (
    callbacks,
    checkpoints,
    event_files,
    execution,
    progress,
    tensorboard,
)

POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


@attrs.frozen
class Data:
    """What a run is trained on.

    Attributes:
        train: Makes the endless dataset of training batches that begins at a
            (0-based epoch, step within it).
        validation: Makes the validation batches; None where there are none.
        steps_per_epoch: Training batches in an epoch.
        batch_size: Images in a (global) batch.
        description: Where the images come from and how many there are, for people.
    """

    train: Callable[[int, int], tf.data.Dataset]
    validation: Callable[[], tf.data.Dataset] | None
    steps_per_epoch: int
    batch_size: int
    description: str = ""


def set_up_devices(config: config_lib.TrainConfig) -> None:
    """Apply threads, memory, determinism and cache, before anything runs.

    Raises:
        UserError: TensorFlow has already been running in this process.
    """
    if config.compile_cache:
        # TensorFlow reads this when it looks for devices, and makes the folder.
        cache = f"--tf_xla_persistent_cache_directory={config.compile_cache}"
        flags = os.environ.get("TF_XLA_FLAGS", "")
        os.environ["TF_XLA_FLAGS"] = f"{flags} {cache}".strip()
    try:
        if config.cpu_only:
            tf.config.set_visible_devices([], "GPU")
        if config.cpu_threads:
            tf.config.threading.set_intra_op_parallelism_threads(config.cpu_threads)
            tf.config.threading.set_inter_op_parallelism_threads(config.cpu_threads)
        for device in tf.config.get_visible_devices("GPU"):
            if config.gpu_memory_limit_mb:
                limit = tf.config.LogicalDeviceConfiguration(config.gpu_memory_limit_mb)
                tf.config.set_logical_device_configuration(device, [limit])
            else:
                tf.config.experimental.set_memory_growth(device, True)
    except RuntimeError as error:
        raise files.UserError(
            f"Devices must be set up before TensorFlow is used: {error}"
        ) from error
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()


def has_accelerator() -> bool:
    """Say whether TensorFlow sees a GPU or TPU that it may use."""
    return any(d.device_type != "CPU" for d in tf.config.get_visible_devices())


def resolve_jit(config: config_lib.TrainConfig) -> bool:
    """Decide whether the train step is compiled with XLA.

    On the CPUs measured, XLA runs these convolutions at about 0.6 of the speed of the
    plain graph, so `auto` compiles for accelerators only.
    """
    if config.deterministic:
        return False
    return config.jit_compile == "true" or (
        config.jit_compile == "auto" and has_accelerator()
    )


def make_strategy(config: config_lib.TrainConfig) -> tf.distribute.Strategy:
    """Return the distribution strategy: TensorFlow's default or all local GPUs."""
    if config.strategy == "none":
        return tf.distribute.get_strategy()
    if config.strategy == "mirrored":
        return tf.distribute.MirroredStrategy()
    raise ValueError(f"Unknown strategy {config.strategy!r}.")


def build(
    model_config: config_lib.ModelConfig,
    config: config_lib.TrainConfig,
    steps_per_epoch: int = 1,
) -> vae_lib.VAE:
    """Build and compile the model, under the strategy in force.

    Args:
        model_config: The model.
        config: How it is trained.
        steps_per_epoch: Batches in an epoch, for what counts in epochs: a cosine's
            length, and the epoch of a step that is told.

    Raises:
        UserError: The settings can't be computed together on this device.
    """
    jit = resolve_jit(config)
    config_lib.check_precision(model_config, config, jit, cpu=not has_accelerator())
    policy = POLICIES[config.mixed_precision]
    model = vae_lib.VAE(model_config, config.seed, policy)
    model.guard.limit = config.max_bad_steps
    model.guard.steps_per_epoch = steps_per_epoch
    optimizer = adam_lib.Adam(
        schedules.learning_rate(config, steps_per_epoch),
        config.gradient_accumulation,
        config.ema,
        config.gradient_clip_norm,
    )
    model.compile(
        optimizer, jit_compile=jit, steps_per_execution=config.steps_per_execution
    )
    return model


def describe(model: vae_lib.VAE, config: config_lib.TrainConfig, data: Data) -> str:
    """Say in a few lines what is about to be trained, and how."""
    settings = model.config
    devices = [d.device_type for d in tf.config.get_visible_devices()]
    accelerators = [d for d in devices if d != "CPU"]
    device = f"{len(accelerators)} x {accelerators[0]}" if accelerators else "CPU"
    parameters = [f"{m.count_params():,}" for m in (model.encoder, model.decoder)]
    beta = likelihoods.equivalent_beta(settings)
    kl = f"fact {settings.fact:g} (beta {beta:g})" if settings.is_vae else "no KL"
    jit = "on" if model.jit_compile else "off"
    steps = f"{config.epochs} epochs of {data.steps_per_epoch:,} steps"
    if config.gradient_accumulation > 1:
        steps += f", {config.gradient_accumulation} to an update"
    height, width, channels = settings.image_shape
    lines = {
        "data": f"{data.description} {height}x{width}x{channels}",
        "steps": f"batch {data.batch_size}, {steps}",
        "model": f"{settings.mode}, z_dim {settings.z_dim}, "
        f"{settings.decoder} decoder, {parameters[0]} + {parameters[1]} parameters",
        "loss": f"{settings.reconstruction}, {kl}",
        "device": f"{device}, {config.mixed_precision}, jit {jit} "
        f"(--jit_compile={config.jit_compile})",
    }
    return "\n".join(f"{name + ':':<8}{text}" for name, text in lines.items())


def load_weights(model: vae_lib.VAE, path: str) -> None:
    """Load weights, and nothing else, into a model.

    Args:
        model: Its architecture must be that of the weights.
        path: A `vae.weights.h5`.

    Raises:
        UserError: The file is missing, damaged or of another architecture.
    """
    if not os.path.isfile(path):
        raise files.UserError(f"Expected saved weights in {path}, found no such file.")
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


def fit(
    model_config: config_lib.ModelConfig,
    config: config_lib.TrainConfig,
    data: Data,
    run_dir: str,
    *,
    init_from: str | None = None,
    description: str = "",
    configuration: str = "",
) -> vae_lib.VAE:
    """Fit a model in `run_dir`, from its newest checkpoint where there is one.

    Args:
        model_config: The model.
        config: How it is trained.
        data: What it is trained on.
        run_dir: Gets checkpoints, weights, history and TensorBoard files.
        init_from: Weights that a fresh run starts from.
        description: Text shown with the run in TensorBoard.
        configuration: Digest of what decides the run's numbers; a checkpoint of
            another is refused.

    Returns:
        The trained model, with the weights that training would go on with.

    Raises:
        Stopped: SIGTERM or Ctrl-C came; a checkpoint was left.
        UserError: Settings, weights or checkpoint can't be used, or too many steps in
            a row were not finite.
    """
    # Here, not only at the process's start: it may train several runs.
    keras.utils.set_random_seed(config.seed)
    with make_strategy(config).scope():
        model = build(model_config, config, data.steps_per_epoch)
        saved = checkpoints.Checkpoints(
            run_dir, model, config.keep_checkpoints, configuration
        )
    resumed = _restore(model, saved, run_dir, init_from)
    print(describe(model, config, data), flush=True)
    epoch, step = divmod(int(model.step.numpy()), data.steps_per_epoch)
    stalled = saved.progress.has_stalled(config.early_stopping)
    if stalled or epoch >= config.epochs:
        why = "stopped early" if stalled else "already trained"
        print(f"{why} after epoch {epoch}: nothing to do", flush=True)
        return model
    if resumed:
        print(f"resuming at epoch {epoch + 1}, step {step}", flush=True)
    with _stop_requests() as stop_requested:
        watchers = _callbacks(model, config, data, run_dir, saved, epoch, description)
        checkpointing = callbacks.Checkpointing(
            saved,
            config.checkpoint_every_steps,
            config.checkpoint_every_minutes,
            stop_requested,
        )
        watchers.append(checkpointing)
        if step:
            checkpointing.keep_metrics(model)
        _fit_from(model, config, data, watchers, epoch, step)
    return model


def _restore(model, saved, run_dir: str, init_from: str | None) -> bool:
    """Give the model its state at the start; say whether a checkpoint held it."""
    resumed = saved.restore()
    if not resumed and init_from:
        load_weights(model, init_from)
        model.step.assign(0)
        model.calls.assign(0)
        adam_lib.restart_averages(model)
    # TensorBoard may hold steps that no checkpoint does: they will come again.
    last_step = int(model.step.numpy()) if resumed else -1
    event_files.drop_later(os.path.join(run_dir, "tensorboard"), last_step)
    return resumed


def _fit_from(model, config, data: Data, watchers, epoch: int, step: int) -> None:
    """Fit from (epoch, step) on; the rest of a begun epoch is a fit of its own."""
    validation = data.validation() if data.validation else None
    execution.use_train_function(model, data.steps_per_epoch)
    parts = [(epoch, config.epochs, 0)]
    if step:
        parts = [(epoch, epoch + 1, step), (epoch + 1, config.epochs, 0)]
    for first, last, done in parts:
        if first >= last or model.stop_training:
            continue
        steps = data.steps_per_epoch - done
        model.fit(
            data.train(first, done),
            initial_epoch=first,
            epochs=last,
            steps_per_epoch=steps,
            validation_data=validation,
            callbacks=execution.CallbackList(
                watchers, add_history=True, model=model, epochs=last, steps=steps
            ),
            shuffle=False,
            verbose=0,
        )


def _callbacks(model, config, data: Data, run_dir, saved, epoch, description) -> list:
    watchers = [
        callbacks.BadSteps(config.log_every_steps),
        progress.Clock(data.batch_size),
    ]
    if config.recompute_batch_norm and data.validation and model.config.uses_batch_norm:
        count = config.recompute_batch_norm

        def recompute_batches(at_epoch):
            return data.train(at_epoch, 0).take(count)

        watchers.append(
            callbacks.RecomputedValidation(data.validation, recompute_batches)
        )
    history = os.path.join(run_dir, "history.csv")
    shown = data.validation or (lambda: data.train(0, 0))
    watchers += [
        callbacks.History(history, first_epoch=epoch),
        callbacks.Weights(run_dir, saved.progress, config.early_stopping),
        tensorboard.TensorBoard(
            run_dir,
            tensorboard.Pictures.from_batches(shown()),
            config.log_every_steps,
            config.images_every_epochs,
            description,
        ),
    ]
    watchers.append(progress.Progress(config.epochs, data.batch_size))
    if config.profile_steps:
        watchers.append(tensorboard.Profile(run_dir, *config.profile_steps))
    return watchers


@contextlib.contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn SIGTERM and Ctrl-C into a request that the next step sees."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested.is_set
        return

    def request(number, frame):
        del frame
        # A second signal acts as usual, should a step never end.
        signal.signal(number, signal.SIG_DFL)
        requested.set()

    kinds = (signal.SIGTERM, signal.SIGINT)
    before = {kind: signal.signal(kind, request) for kind in kinds}
    try:
        yield requested.is_set
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
