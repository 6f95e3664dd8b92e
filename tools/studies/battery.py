"""Sets of images whose order any person agrees on, to judge measures of quality by.

`CHAINS` has the orders: real images damaged by degrees, sets with less and less
variety, and a model's images from what looks best to what looks worst.
"""

import functools
import io
from collections.abc import Callable, Iterator, Mapping

import attrs
import numpy as np
from PIL import Image, ImageFilter

from tools.studies import lab as lab_lib
from vae_prod.latent import densities, sampling
from vae_prod.reporting import image_grids

REAL = "real"
# The side that lengths in pixels below are for; other images' scale with theirs.
_SIDE = 96
_TINY_FACT = 1e-5
# Half sides of boxes that z is drawn from.
_BOXES = (0.5, 1.5, 2.5, 3.5, 5.0, 8.0)
_TRUNCATED = 0.7
_COMPONENTS = 10
# Shares of the epochs after which a training is looked at.
_YOUNG, _YOUNGER = 1 / 8, 1 / 24
_BATCH = 100


@attrs.frozen
class Chain:
    """Sets of images, best first.

    Attributes:
        name: What differs from set to set.
        sets: Their names.
    """

    name: str
    sets: tuple[str, ...]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Give every two sets, the better one first."""
        for place, better in enumerate(self.sets):
            for worse in self.sets[place + 1 :]:
                yield better, worse


@attrs.frozen
class Damage:
    """A way to make real images worse, by degrees.

    Attributes:
        name: What is done.
        degrees: How much, least first.
        apply: Of images uint8 [N, H, W, C], a degree and a generator of random numbers,
            to images like them.
    """

    name: str
    degrees: tuple[float, ...]
    apply: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]

    def sets(self) -> Iterator[tuple[str, float]]:
        """Give the name of each set with its degree."""
        for degree in self.degrees:
            yield f"{self.name} {degree:g}", degree


def _blurred(images, radius, random):
    scale = images.shape[1] / _SIDE
    return _by_pillow(
        images, lambda im: im.filter(ImageFilter.GaussianBlur(radius * scale))
    )


def _by_pillow(images, change):
    # Pillow has no grey images with an axis of channels.
    changed = [np.asarray(change(_as_picture(image))) for image in images]
    return np.stack(changed).reshape(images.shape)


def _as_picture(image):
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _jpeg(images, quality, random):
    def saved(picture):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(quality))
        return Image.open(file)

    return _by_pillow(images, saved)


def _noisy(images, deviation, random):
    return _rounded(images + random.normal(size=images.shape) * deviation)


def _brightened(images, levels, random):
    return _rounded(images.astype(np.float64) + levels)


def _contrasted(images, factor, random):
    return _rounded((images - 127.5) * factor + 127.5)


def _shuffled(images, blocks, random):
    """Cut images into blocks x blocks parts and put them together at random."""
    size, blocks = images.shape, int(blocks)
    height, width = (side // blocks for side in size[1:3])
    shuffled = images.copy()
    places = [(y * height, x * width) for y in range(blocks) for x in range(blocks)]
    for new, old in zip(shuffled, images, strict=True):
        order = random.permutation(len(places))
        for (y, x), (from_y, from_x) in zip(
            places, (places[i] for i in order), strict=True
        ):
            part = old[from_y : from_y + height, from_x : from_x + width]
            new[y : y + height, x : x + width] = part
    return shuffled


def _mixed(images, share, random):
    """Show another image through each."""
    return _rounded((1 - share) * images + share * images[::-1].astype(np.float64))


def _repeated(images, times, random):
    """Keep one image in so many, and repeat it."""
    kept = max(len(images) // int(times), 1)
    return images[np.arange(len(images)) % kept]


def _rounded(images):
    return np.clip(np.round(images), 0, 255).astype(np.uint8)


DAMAGES = (
    Damage("blurred", (1, 2, 4), _blurred),
    Damage("noise", (8, 20, 50), _noisy),
    Damage("brighter", (20, 50, 90), _brightened),
    Damage("contrast", (1.4, 2, 4), _contrasted),
    Damage("JPEG", (40, 15, 4), _jpeg),
    Damage("shuffled", (2, 4, 8), _shuffled),
    Damage("two in one", (0.15, 0.3, 0.5), _mixed),
    Damage("repeated", (2, 20, 100, 10**9), _repeated),
)
MODELS = ("vae", "ae", "tiny_kl", "other_decoder", "young", "younger")
CHAINS = (
    *(Chain(d.name, (REAL, *(name for name, _ in d.sets()))) for d in DAMAGES),
    Chain("reconstructions by model", (REAL, "ae, reconstructions")),
    Chain("model", (REAL, "vae, reconstructions", "vae, N(0, I)", "ae, N(0, I)")),
    Chain("KL", ("vae, N(0, I)", "tiny_kl, N(0, I)")),
    Chain("sampler", ("vae, mixture", "vae, box 3.5", "vae, box 5", "vae, box 8")),
    Chain("wide boxes", ("vae, N(0, I)", "vae, box 3.5", "vae, box 5", "vae, box 8")),
    Chain("wide boxes, good", ("vae, box 2.5", "vae, box 3.5")),
    Chain("narrow boxes", ("vae, N(0, I)", "vae, box 0.5")),
    Chain("narrow boxes, good", ("vae, box 1.5", "vae, box 0.5")),
    Chain("truncated", ("vae, N(0, I)", "vae, truncated", "vae, box 0.5")),
    Chain("epochs", (REAL, "vae, N(0, I)", "young, N(0, I)", "younger, N(0, I)")),
    Chain(
        "epochs, reconstructions",
        (
            *("vae, reconstructions", "young, reconstructions"),
            "younger, reconstructions",
        ),
    ),
)


def plans(lab: lab_lib.Lab) -> dict[str, dict]:
    """Return the runs to train, by name, see `lab.Lab.train_runs`."""
    epochs = lab.train.epochs
    decoders = {"conv2d_transpose": "upsampling", "upsampling": "conv2d_transpose"}
    changes = (
        {},
        {"mode": "ae"},
        {"fact": _TINY_FACT},
        {"decoder": decoders[lab.model.decoder]},
        {"epochs": max(round(epochs * _YOUNG), 1)},
        {"epochs": max(round(epochs * _YOUNGER), 1)},
    )
    return {
        name: {"mode": "vae", **change}
        for name, change in zip(MODELS, changes, strict=True)
    }


def damaged(images: np.ndarray, seed: int) -> dict[str, Callable[[], np.ndarray]]:
    """Return sets made of real images, by name: what makes each, uint8 like them."""
    sets = {REAL: lambda: images}
    for number, damage in enumerate(DAMAGES):
        for name, degree in damage.sets():
            sets[name] = functools.partial(
                _damage, damage, images, degree, [seed, number]
            )
    return sets


def _damage(damage: Damage, images, degree: float, seed: list[int]) -> np.ndarray:
    """Apply a damage with random numbers of its own, the same each time."""
    return damage.apply(images, degree, np.random.default_rng(seed))


def generated(
    opened: Mapping[str, lab_lib.Opened],
    held_out: np.ndarray,
    trained: tuple[np.ndarray, np.ndarray | None],
    seed: int,
) -> dict[str, Callable[[], np.ndarray]]:
    """Return sets of models' images, as many as held-out ones, by name.

    Args:
        opened: The models, by name.
        held_out: Images to reconstruct, uint8 [N, H, W, C].
        trained: `z_mean` and `z_log_var` of the VAE's training images.
        seed: Of all random numbers.
    """
    seeds = seed * 1_000_003 + np.arange(len(held_out), dtype=np.int64)
    sets = {}
    for name, run in opened.items():
        z = np.asarray(sampling.prior(seeds, run.codec.z_dim))
        sets[f"{name}, N(0, I)"] = functools.partial(_decoded, run, z)
        sets[f"{name}, reconstructions"] = functools.partial(
            _reconstructed, run, held_out
        )
    vae = opened["vae"]
    z = np.asarray(sampling.prior(seeds, vae.codec.z_dim))
    sets["vae, truncated"] = functools.partial(_decoded, vae, z * _TRUNCATED)
    for limit in _BOXES:
        z = np.asarray(sampling.uniform(seeds, vae.codec.z_dim, limit))
        sets[f"vae, box {limit:g}"] = functools.partial(_decoded, vae, z)
    components = min(_COMPONENTS, len(trained[0]))
    mixture = densities.fit_mixture(*trained, components=components, seed=seed)
    z = np.asarray(mixture.sample(seeds))
    sets["vae, mixture"] = functools.partial(_decoded, vae, z)
    return sets


def _decoded(run: lab_lib.Opened, z: np.ndarray) -> np.ndarray:
    parts = (run.codec.decode(z[i : i + _BATCH]) for i in range(0, len(z), _BATCH))
    return np.concatenate([image_grids.to_uint8(part) for part in parts])


def _reconstructed(run: lab_lib.Opened, images: np.ndarray) -> np.ndarray:
    parts = (images[i : i + _BATCH] for i in range(0, len(images), _BATCH))
    z = [run.codec.encode(part)["z_mean"] for part in parts]
    return _decoded(run, np.concatenate(z))
