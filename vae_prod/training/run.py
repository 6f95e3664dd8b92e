"""A training run: build or resume, fit with all callbacks, stop when asked."""

import functools
import os
from collections.abc import Callable

import attrs
import keras
import tensorflow as tf

from pipelines import files, folders
from vae_prod import config as config_lib
from vae_prod.model import likelihoods
from vae_prod.model import vae as vae_lib
from vae_prod.optim import adam as adam_lib
from vae_prod.optim import exchange as exchange_lib
from vae_prod.training import (
    bad_steps,
    batch_norm,
    building,
    checkpoints,
    devices,
    event_files,
    execution,
    history,
    precision,
    progress,
    stopping,
    tensorboard,
    weights,
    workers,
)
from vae_prod.training import checkpointing as checkpointing_lib

_HISTORY = "history.csv"


@attrs.frozen
class Data:
    """What a run is trained on.

    Attributes:
        train: Makes the endless dataset of training batches that begins at a
            (0-based epoch, step within it); of a worker (index, count), its share.
        validation: Makes the validation batches, of a worker (index, count) those that
            are its turn; None where there are none.
        validation_images: How many images these are.
        steps_per_epoch: Training batches in an epoch.
        batch_size: Images in a (global) batch.
        description: Where the images come from and how many there are, for people.
        taken: What the train steps take their batches from in place of `train`.
    """

    train: Callable[..., tf.data.Dataset]
    validation: Callable[..., tf.data.Dataset] | None
    steps_per_epoch: int
    batch_size: int
    validation_images: int = 0
    description: str = ""
    taken: "Taken | None" = None


@attrs.frozen
class Taken:
    """Training images that are on the device, from where a step takes its batch.

    Attributes:
        places: Makes the endless dataset that begins at a (0-based epoch, step within
            it) and says in an element, for so many steps, where theirs are.
        batch: Takes the batch of a step, as `Data.train` gives it.
    """

    places: Callable[[int, int, int], tf.data.Dataset]
    batch: execution.Take


def describe(model: vae_lib.VAE, config: config_lib.TrainConfig, data: Data) -> str:
    """Say in a few lines what is about to be trained, and how."""
    settings = model.config
    kinds = [d.device_type for d in tf.config.get_visible_devices()]
    accelerators = [kind for kind in kinds if kind != "CPU"]
    device = f"{len(accelerators)} x {accelerators[0]}" if accelerators else "CPU"
    parameters = [f"{m.count_params():,}" for m in (model.encoder, model.decoder)]
    beta = likelihoods.equivalent_beta(settings)
    kl = f"fact {settings.fact:g} (beta {beta:g})" if settings.is_vae else "no KL"
    if not settings.has_kl_loss:
        label = config_lib.DIVERGENCES[settings.divergence].label
        kl = f"fact {settings.fact:g} times {label}"
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
    total = config.epochs * data.steps_per_epoch
    told = [f"{name + ':':<8}{text}" for name, text in lines.items()]
    if unfinished := config_lib.unfinished(settings, config, total):
        told.append(f"note:   in {total:,} steps {unfinished}")
    if emulation := precision.emulation(config.mixed_precision, config.cpu_only):
        told.append(f"note:   {emulation}")
    return "\n".join(told)


def fit(
    model_config: config_lib.ModelConfig,
    config: config_lib.TrainConfig,
    data: Data,
    run_dir: str,
    *,
    init_from: str | None = None,
    description: str = "",
    configuration: str = "",
    exchange: exchange_lib.Exchange = exchange_lib.ALONE,
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
        exchange: With the other workers of the run. All go on from what the chief
            finds in its `run_dir`; others need an empty one, which nobody reads.

    Returns:
        The trained model, with the weights that training would go on with.

    Raises:
        stopping.Stopped: SIGTERM or Ctrl-C came, to any worker; a checkpoint was left.
        workers.LostError: Another worker is gone; the chief left a checkpoint, unless
            an epoch was at its end.
        UserError: Settings, weights or checkpoint can't be used, or too many steps in
            a row were not finite.
    """
    config_lib.check_steps(config, config.epochs * data.steps_per_epoch)
    for name in ("", "checkpoints", "weights"):
        folders.remove_leftovers(os.path.join(run_dir, name))
    # Here, not only at the process's start: it may train several runs.
    keras.utils.set_random_seed(config.seed)
    with devices.make_strategy(config).scope():
        model = building.build(model_config, config, data.steps_per_epoch)
        model.exchange = attrs.evolve(
            exchange,
            parts=config.microbatches,
            held_out_batch=data.batch_size,
            held_out_images=data.validation_images,
        )
        saved = checkpoints.Checkpoints(
            run_dir, model, config.keep_checkpoints, configuration
        )
    with workers.others(exchange):
        resumed = _restore(model, saved, run_dir, init_from)
        saved.share(exchange)
    print(describe(model, config, data), flush=True)
    epoch, step = divmod(int(model.step.numpy()), data.steps_per_epoch)
    stalled = saved.early_stopping.has_stalled(config.early_stopping)
    if stalled or epoch >= config.epochs:
        why = "stopped early" if stalled else "already trained"
        print(f"{why} after epoch {epoch}: nothing to do", flush=True)
        return model
    if resumed:
        print(f"resuming at epoch {epoch + 1}, step {step}", flush=True)
    with stopping.stop_requests() as stop_requested:
        watchers = _callbacks(model, config, data, run_dir, saved, epoch, description)
        _fit_watched(model, config, data, saved, watchers, stop_requested)
    return model


def _fit_watched(model, config, data: Data, saved, watchers, stop_requested) -> None:
    """Fit from the model's step on, with checkpoints, and with the other workers."""
    exchange = model.exchange
    if exchange.workers > 1:
        stop_requested = workers.Stopping(stop_requested)
        execution.use_worker_functions(model, data.steps_per_epoch, stop_requested)
    else:
        take = data.taken.batch if data.taken else None
        execution.use_train_function(model, data.steps_per_epoch, take)
    checkpointing = checkpointing_lib.Checkpointing(
        saved,
        config.checkpoint_every_steps,
        config.checkpoint_every_minutes,
        stop_requested,
    )
    epoch, step = divmod(int(model.step.numpy()), data.steps_per_epoch)
    if step:
        checkpointing.keep_metrics(model)
    with workers.others(exchange, checkpointing.save_if_within_epoch):
        _fit_from(model, config, data, [*watchers, checkpointing], epoch, step)


def _restore(model, saved, run_dir: str, init_from: str | None) -> bool:
    """Give the model its state at the start; say whether a checkpoint held it."""
    resumed = saved.restore()
    epochs = len(history.read(os.path.join(run_dir, _HISTORY)))
    if not resumed and epochs > 1:
        # After one, a kill may have come before the first checkpoint.
        raise files.UserError(
            f"Expected a checkpoint in {run_dir} of the {epochs} epochs in {_HISTORY}, "
            "found none. Bring it back, or start in another --run_dir, with this one's "
            "weights by --init_from."
        )
    if not resumed and init_from:
        weights.load(model, init_from)
        model.step.assign(0)
        model.calls.assign(0)
        adam_lib.restart_averages(model)
    # TensorBoard may hold steps that no checkpoint does: they will come again.
    last_step = int(model.step.numpy()) if resumed else -1
    event_files.drop_later(os.path.join(run_dir, "tensorboard"), last_step)
    return resumed


def _fit_from(model, config, data: Data, watchers, epoch: int, step: int) -> None:
    """Fit from (epoch, step) on; the rest of a begun epoch is a fit of its own."""
    worker = model.exchange.index, model.exchange.workers
    validation = data.validation(worker) if data.validation else None
    parts = [(epoch, config.epochs, 0)]
    if step:
        parts = [(epoch, epoch + 1, step), (epoch + 1, config.epochs, 0)]
    for first, last, done in parts:
        if first >= last or model.stop_training:
            continue
        steps = data.steps_per_epoch - done
        if data.taken:
            places = data.taken.places(first, done, model.steps_per_execution)
            batches = execution.ahead(model, places, calls=True)
        else:
            batches = execution.ahead(model, data.train(first, done, worker))
        model.fit(
            batches,
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
        bad_steps.BadSteps(config.log_every_steps),
        progress.Clock(data.batch_size),
    ]
    if config.recompute_batch_norm and data.validation and model.config.uses_batch_norm:
        count = config.recompute_batch_norm

        def recompute_batches(at_epoch):
            return data.train(at_epoch, 0).take(count)

        worker = model.exchange.index, model.exchange.workers
        shares = functools.partial(data.validation, worker)
        watchers.append(batch_norm.RecomputedValidation(shares, recompute_batches))
    path = os.path.join(run_dir, _HISTORY)
    shown = data.validation or (lambda: data.train(0, 0))
    watchers += [
        history.HistoryFile(path, first_epoch=epoch),
        weights.SavedWeights(run_dir, saved.early_stopping, config.early_stopping),
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
