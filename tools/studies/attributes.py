"""Latent arithmetic: attributes added and taken away, ways between two images."""

import attrs
import numpy as np

from pipelines import files
from pipelines.reading import dataset
from tools.studies import annotations, encodings, losses, outcome, pictures
from tools.studies import lab as lab_lib
from vae_prod.latent import arithmetic, sampling
from vae_prod.latent import encodings as encodings_lib
from vae_prod.reporting import image_grids, report

# Edited where nothing is asked for and the images have them, held and not held often
# enough.
_WELL_KNOWN = (
    *("Smiling", "Eyeglasses", "Male", "Young", "Blond_Hair", "Bangs"),
    *("Mustache", "Wearing_Hat"),
)
_ENOUGH = 20
_AT_MOST = 6
_STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)
_LABEL_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


@attrs.frozen(eq=False)
class _Edit:
    """One thing to edit.

    Attributes:
        name: The attribute or label.
        rows: int64 [N], held-out images to edit: without it.
        vectors: float32 [N, z_dim], the way for each of them.
        with_it: Training images behind the vector, with it.
        without: The same, without it.
        told_apart: Share of held-out images, with and without counting the same, that
            the vector tells apart; 0.5 is chance.
    """

    name: str
    rows: np.ndarray
    vectors: np.ndarray
    with_it: int
    without: int
    told_apart: float


def study(lab: lab_lib.Lab) -> outcome.Outcome:
    """Average encoded images by attribute, and edit held-out ones."""
    annotations.chosen(lab)
    run = lab.one_run()
    trained = encodings.encode(lab, run, dataset.TRAIN_SPLIT)
    held_out = encodings.encode(lab, run, lab.held_out)
    make = _label_edits if trained.label is not None else _attribute_edits
    edits = make(lab, trained, held_out)
    sheets = [_picture(lab, run, held_out, edit) for edit in edits]
    return outcome.Outcome(
        "The way from the mean of the images without an attribute to the mean of those "
        "with it, added to encoded images that the model has never seen.",
        [
            report.Section("Edits", [_table(lab, edits), *sheets]),
            report.Section("Interpolation", [_interpolation(lab, run)]),
            report.Section("Losses", losses.parts({"run": run})),
        ],
        {
            "attributes": {
                edit.name: {
                    "images_with": edit.with_it,
                    "images_without": edit.without,
                    "length": _length(edit),
                    "told_apart": edit.told_apart,
                }
                for edit in edits
            },
            "losses": losses.figures(run),
        },
        {"run": run},
    )


def _attribute_edits(
    lab: lab_lib.Lab, trained: encodings_lib.Encoding, held_out: encodings_lib.Encoding
) -> list[_Edit]:
    names = lab.manifest.record.attributes
    means = arithmetic.by_attribute(trained.z_mean, trained.attributes, names)
    edits = []
    for name in annotations.chosen(lab) or _usual(names, means):
        number = names.index(name)
        vector = means.vector(name)
        has_it = np.asarray(held_out.attributes[:, number]) == 1
        rows = np.flatnonzero(~has_it)
        edits.append(
            _Edit(
                name,
                rows,
                np.broadcast_to(vector, (len(rows), len(vector))),
                int(means.counts[number]),
                int(means.counts[len(names) + number]),
                _told_apart(held_out.z_mean, has_it, means.mean(name), vector),
            )
        )
    return edits


def _usual(names: tuple[str, ...], means: arithmetic.GroupMeans) -> list[str]:
    """Choose what to edit: well-known attributes first, none that is too rare."""
    both = dict(zip(names, means.counts[: len(names)], strict=True))
    total = int(means.counts[0] + means.counts[len(names)])
    fit = [n for n in names if _ENOUGH <= both[n] <= total - _ENOUGH]
    if not fit:
        raise files.UserError(
            f"Expected an attribute that at least {_ENOUGH} training images have and "
            f"{_ENOUGH} have not, found none. Convert more images, or name some with "
            "--attributes."
        )
    known = [name for name in _WELL_KNOWN if name in fit]
    return (known or fit)[:_AT_MOST]


def _label_edits(
    lab: lab_lib.Lab, trained: encodings_lib.Encoding, held_out: encodings_lib.Encoding
) -> list[_Edit]:
    names = lab.manifest.record.label_names
    means = arithmetic.by_label(trained.z_mean, trained.label, names)
    labels = np.asarray(held_out.label)
    edits = []
    for name in annotations.chosen(lab) or names[:_AT_MOST]:
        number = names.index(name)
        rows = np.flatnonzero(labels != number)
        target = means.mean(name)
        others = [i for i in range(len(names)) if i != number and means.counts[i]]
        others_mean = np.average(
            means.means[others], axis=0, weights=means.counts[others]
        )
        edits.append(
            _Edit(
                name,
                rows,
                target - means.means[labels[rows]],
                int(means.counts[number]),
                int(means.counts.sum() - means.counts[number]),
                _told_apart(
                    held_out.z_mean, labels == number, target, target - others_mean
                ),
            )
        )
    return edits


def _told_apart(
    z: np.ndarray, has_it: np.ndarray, mean: np.ndarray, vector: np.ndarray
) -> float:
    """Return how many points lie on their side of the middle between both means.

    Images with and without count the same, however many there are of each; NaN where
    there are none of one kind.
    """
    if has_it.all() or not has_it.any():
        return float("nan")
    nearer = (np.asarray(z) - (mean - vector / 2)) @ vector > 0
    return float((nearer[has_it].mean() + (~nearer[~has_it]).mean()) / 2)


def _length(edit: _Edit) -> float:
    return float(np.linalg.norm(edit.vectors, axis=1).mean()) if len(edit.rows) else 0.0


def _table(lab: lab_lib.Lab, edits: list[_Edit]) -> report.Table:
    rows = [
        [e.name, e.with_it, e.without, _length(e), f"{e.told_apart:.0%}"] for e in edits
    ]
    columns = ["attribute", "with it", "without", "vector's length", "told apart"]
    caption = (
        "Training images behind each vector, and the share of held-out images that lie "
        "on their side of the middle between both means (50 % is chance)."
    )
    return report.Table(columns, rows, caption)


def _picture(
    lab: lab_lib.Lab,
    run: lab_lib.Opened,
    held_out: encodings_lib.Encoding,
    edit: _Edit,
) -> report.Picture:
    """Show images, and what they become at each strength."""
    by_label = held_out.label is not None
    strengths = lab.study.strengths or (_LABEL_STRENGTHS if by_label else _STRENGTHS)
    picked = np.random.default_rng(lab.train.seed).permutation(len(edit.rows))
    picked = np.sort(picked[: lab.study.rows])
    rows = edit.rows[picked]
    z = np.asarray(held_out.z_mean[rows])
    changed = [
        arithmetic.edit(point[None], vector, strengths)[0]
        for point, vector in zip(z, edit.vectors[picked], strict=True)
    ]
    decoded = run.codec.decode_many(np.concatenate(changed))
    originals = encodings.images(lab, run, lab.held_out, rows)
    decoded = image_grids.to_uint8(decoded).reshape(len(rows), -1, *decoded.shape[1:])
    shown = np.concatenate([originals[:, None], decoded], axis=1)
    multiples = ", ".join(f"{s:g}" for s in strengths)
    return pictures.grid(
        f"edit_{edit.name}",
        shown.reshape(-1, *originals.shape[1:]),
        len(strengths) + 1,
        f"{edit.name}: the image, then with {multiples} times the vector added.",
    )


def _interpolation(lab: lab_lib.Lab, run: lab_lib.Opened) -> report.Picture:
    chosen = lab.choose(run, lab.held_out, 2 * lab.study.rows)["image"]
    pairs, steps = len(chosen) // 2, max(lab.study.columns, 2)
    z = run.codec.encode(chosen)["z_mean"]
    paths = sampling.interpolate(z[:pairs], z[pairs : 2 * pairs], steps).numpy()
    decoded = run.codec.decode_many(paths.reshape(-1, z.shape[1]))
    decoded = image_grids.to_uint8(decoded).reshape(pairs, steps, *chosen.shape[1:])
    ends = chosen[:pairs, None], chosen[pairs : 2 * pairs, None]
    shown = np.concatenate([ends[0], decoded, ends[1]], axis=1)
    return pictures.grid(
        "interpolation",
        shown.reshape(-1, *chosen.shape[1:]),
        steps + 2,
        f"From one {lab.held_out} image (left) straight through the latent space to "
        "another (right).",
    )
