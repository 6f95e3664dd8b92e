"""How sure a number is, as text: its interval of 95 % as value ± half its width."""

import attrs

from vae_prod.reporting import report


def plus_minus(half_width: float | None) -> str:
    """Return what stands behind a number, to two digits; empty where it isn't known."""
    if half_width is None:
        return ""
    rounded = float(f"{half_width:.2g}")
    return f"± {rounded:,.0f}" if rounded >= 10 else f"± {rounded:.2g}"


@attrs.frozen
class Uncertain:
    """A number with its interval, as a table's cell."""

    value: float
    half_width: float

    def __str__(self) -> str:
        return f"{report.format_value(self.value)} {plus_minus(self.half_width)}"
