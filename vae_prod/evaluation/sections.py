"""What an evaluation tells of copies and attributes: in its file, and as text."""

from collections.abc import Iterator, Mapping, Sequence

import attrs

from vae_prod.evaluation import attribute_gaps, memorisation

# Pairs of images that are named, and attributes that a table shows.
_NAMED, _SHOWN = 8, 5


def copies(found: memorisation.Memorisation) -> dict:
    """Return what was found as a file has it, with a few pairs of images' numbers."""
    suspicious = found.distances.argsort(kind="stable")[:_NAMED].tolist()
    return {
        "samples": found.num_samples,
        "held_out_images": found.num_held_out,
        "training_images": found.num_training,
        "copied": len(found.copies),
        "nearer_to_training": found.nearer_to_training,
        "chance": list(found.chance),
        "training_duplicates": found.training_duplicates,
        "held_out_duplicates": found.held_out_duplicates,
        "nearest": [
            {
                "sample": sample,
                "training_image": int(found.nearest[sample]),
                "distance": round(float(found.distances[sample]), 4),
            }
            for sample in suspicious
        ],
        "training_pairs": found.training_pairs[:_NAMED].tolist(),
        "held_out_pairs": found.held_out_pairs[:_NAMED].tolist(),
    }


def copies_rows(section: Mapping) -> list[tuple[str, str]]:
    """Return what was copied, a name and a value each."""
    low, high = section["chance"]
    by_chance = f"by chance {low:.3f} to {high:.3f}"
    held_out, training = section["held_out_images"], section["training_images"]
    return [
        ("samples that are copies", _share(section["copied"], section["samples"])),
        (
            "held-out images with a copy",
            _share(section["held_out_duplicates"], held_out),
        ),
        (
            "training images with a copy",
            _share(section["training_duplicates"], training),
        ),
        (
            "samples nearer to training",
            f"{section['nearer_to_training']:.3f}, {by_chance}",
        ),
    ]


def copies_text(section: Mapping) -> Iterator[str]:
    """Tell what was copied, line by line."""
    yield f"copies, looked for among {section['training_images']:,} training images"
    for name, value in copies_rows(section):
        yield f"  {name:<30} {value}"
    for name, pairs in (
        ("held-out and training", section["held_out_pairs"]),
        ("training", section["training_pairs"]),
    ):
        if pairs:
            named = ", ".join(f"{first} and {second}" for first, second in pairs[:3])
            yield f"  {name} images, such as {named}"


def copies_sentence(section: Mapping) -> str:
    """Tell it in a sentence."""
    return (
        f"{_share(section['copied'], section['samples'])} samples are copies of "
        f"training images, {section['nearer_to_training']:.3f} are nearer to them"
    )


def _share(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({count / total:.2%})"


def gaps(found: Sequence[attribute_gaps.Gap]) -> list[dict]:
    """Return what attributes go with as a file has it, the largest gap first."""
    return [attrs.asdict(gap) for gap in found]


def gaps_text(section: Sequence[Mapping]) -> Iterator[str]:
    """Tell what the attributes with the largest gaps go with, line by line."""
    yield "PSNR of images with an attribute above that of others, dB"
    for row in section[:_SHOWN]:
        interval = f"[{row['low']:+.2f}, {row['high']:+.2f}]"
        yield f"  {row['name']:<30} {row['gap']:+.2f} {interval:<16} " + (
            f"{row['num_images']:,} images"
        )
    if len(section) > _SHOWN:
        yield f"  and {len(section) - _SHOWN} smaller ones, in the file"
