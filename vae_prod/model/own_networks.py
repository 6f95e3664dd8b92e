"""Networks that people bring in the place of those of a configuration.

`VAE(config, encoder=..., decoder=...)` trains, evaluates, draws, saves and exports with
them. A run directory holds a configuration alone, from which such networks can't be
rebuilt: a model with networks of its own is saved as a whole, `model.save("m.keras")`.
"""

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from pipelines import files
from vae_prod import config as config_lib

# Images or points of the call that shows what a network gives.
_ROWS = 2


def check_encoder(encoder: keras.Model, config: config_lib.ModelConfig) -> None:
    """Refuse an encoder that doesn't give what the model takes.

    Args:
        encoder: From images float32 [B, H, W, C] in [0, 1] to a dict of `z_mean` and,
            unless the mode is `ae`, `z_log_var`, each float32 [B, z_dim].
        config: What it is to fit.

    Raises:
        UserError: It gives something else.
    """
    heads = ("z_mean", "z_log_var") if config.is_vae else ("z_mean",)
    expected = dict.fromkeys(heads, (_ROWS, config.z_dim))
    outputs = _outputs("encoder", encoder, (_ROWS, *config.image_shape))
    is_named = isinstance(outputs, Mapping) and set(outputs) >= set(heads)
    received = {n: tuple(outputs[n].shape) for n in heads} if is_named else None
    floats = is_named and all(outputs[n].dtype == tf.float32 for n in heads)
    if received != expected or not floats:
        named = " and ".join(heads)
        raise files.UserError(
            f"Expected an encoder that gives a dict of {named}, float32 [B, "
            f"{config.z_dim}] each, for images of shape {config.image_shape}, received "
            f"{_described(outputs)}. End it with Dense({config.z_dim}, "
            'dtype="float32") layers, or give ModelConfig its z_dim.'
        )


def check_decoder(decoder: keras.Model, config: config_lib.ModelConfig) -> None:
    """Refuse a decoder that doesn't give what the model takes.

    Args:
        decoder: From z float32 [B, z_dim] to logits [B, H, W, C], before the sigmoid,
            of any float dtype.
        config: What it is to fit.

    Raises:
        UserError: It gives something else.
    """
    outputs = _outputs("decoder", decoder, (_ROWS, config.z_dim))
    is_tensor = hasattr(outputs, "shape") and outputs.dtype.is_floating
    if not is_tensor or tuple(outputs.shape) != (_ROWS, *config.image_shape):
        raise files.UserError(
            "Expected a decoder that gives logits (no sigmoid at its end), one float "
            f"tensor of shape [B, {', '.join(map(str, config.image_shape))}], for "
            f"points of {config.z_dim} dimensions, received {_described(outputs)}. "
            "Mend its last layers, or give ModelConfig its image_shape and z_dim."
        )


def copy(network: keras.Model) -> keras.Model:
    """Return a network of the same form, with weights of its own.

    Raises:
        UserError: Keras can't rebuild it.
    """
    try:
        return keras.models.clone_model(network)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise files.UserError(
            f"Expected a network that Keras can copy, {network.name} can't be: "
            f"{_first_line(error)} Build it of Keras layers, or give its class "
            "`get_config`."
        ) from error


def _outputs(what: str, network: Callable, shape: tuple[int, ...]):
    """Return what a network gives for zeros."""
    if not isinstance(network, keras.Model):
        raise files.UserError(
            f"Expected a keras.Model as {what}, received "
            f"{type(network).__name__}. Make one, such as keras.Sequential."
        )
    try:
        return network(tf.zeros(shape), training=False)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise files.UserError(
            f"Expected a network that takes float32 {list(shape)} as {what}, it fails: "
            f"{_first_line(error)} Mend it, or ModelConfig's image_shape and z_dim."
        ) from error


def _described(outputs) -> str:
    return str(
        tf.nest.map_structure(
            lambda tensor: f"{tensor.dtype.name} {list(tensor.shape)}", outputs
        )
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else "no reason."
