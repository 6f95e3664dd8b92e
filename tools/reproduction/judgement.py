"""Whether a figure that was measured is the one that was published."""

import attrs

from tools.reproduction import rows

WITHIN, OUTSIDE, UNKNOWN = "within", "outside", "can't tell"


@attrs.frozen
class Judgement:
    """What a reproduction shows.

    Attributes:
        verdict: within, outside or can't tell.
        sentence: Why.
    """

    verdict: str
    sentence: str


@attrs.frozen
class Measured:
    """A figure as it was measured.

    Attributes:
        value: The figure.
        half_width: Of its interval of 95 % over images; 0 where it has none.
        images: Training images.
        epochs: Passes over them.
        extractor: Kind of the feature extractor; empty: none.
        count: Images of each side behind the figure; 0: all.
    """

    value: float
    half_width: float
    images: int
    epochs: int
    extractor: str = ""
    count: int = 0


def obstacles(row: rows.Row, measured: Measured) -> list[str]:
    """Return why a figure can't be compared with the published one."""
    pairs = {
        "training images": (f"{row.images:,}", f"{measured.images:,}"),
        "epochs": (row.epochs, measured.epochs),
        "extractor": (row.extractor, measured.extractor),
        "images behind the figure": (f"{row.count:,}", f"{measured.count:,}"),
    }
    # CelebA's official split has fewer than some studies took; see `differs`.
    if measured.images >= 0.95 * row.images:
        del pairs["training images"]
    return [
        f"{name}: {here}, published {published}"
        for name, (published, here) in pairs.items()
        if here != published
    ]


def judge(row: rows.Row, measured: Measured) -> Judgement:
    """Compare a figure with the published one, interval with interval."""
    if reasons := obstacles(row, measured):
        return Judgement(UNKNOWN, f"not taken alike ({'; '.join(reasons)})")
    low, high = (
        measured.value - measured.half_width,
        measured.value + measured.half_width,
    )
    lowest, highest = row.interval
    here = f"{low:,.1f} to {high:,.1f}"
    published = f"{lowest:,.1f} to {highest:,.1f} (the spread {row.spread_is})"
    if lowest <= low and high <= highest:
        return Judgement(WITHIN, f"{here} is within the published {published}")
    if high < lowest or highest < low:
        return Judgement(OUTSIDE, f"{here} is outside the published {published}")
    return Judgement(
        UNKNOWN, f"{here} and the published {published} have a part in common only"
    )
