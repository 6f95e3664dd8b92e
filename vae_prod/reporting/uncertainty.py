"""How sure a number is, as text: its interval of 95 % as value ± half its width."""


def plus_minus(half_width: float | None) -> str:
    """Return what stands behind a number, to two digits; empty where it isn't known."""
    if half_width is None:
        return ""
    rounded = float(f"{half_width:.2g}")
    return f"± {rounded:,.0f}" if rounded >= 10 else f"± {rounded:.2g}"
