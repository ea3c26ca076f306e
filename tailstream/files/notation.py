"""How figures are written for people."""


def percent(value: float | None) -> str:
    """A fraction; a dash for what is missing."""
    return "-" if value is None else f"{100 * value:.2f} %"


def amount(value: float | None) -> str:
    """Money, without its cents; a dash for what is missing."""
    return "-" if value is None else f"{value:,.0f}"
