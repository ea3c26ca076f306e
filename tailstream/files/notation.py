"""How figures are written for people."""

from tailstream.quant.arrays import Figure

_METRICS_IN_PERCENT = {
    "total_return", "annual_return", "mean_return", "volatility", "downside_deviation", "max_drawdown",
    "average_drawdown", "ulcer_index", "best", "worst", "hit_rate", "alpha", "tracking_error",
}  # fmt: skip


def percent(value: float | None) -> str:
    """A fraction; a dash for what is missing."""
    return "-" if value is None else f"{100 * value:.2f} %"


def hundredths(value: float | None) -> str:
    """A fraction in percent, the sign standing elsewhere; a dash for what is missing."""
    return "-" if value is None else f"{100 * value:.2f}"


def amount(value: float | None) -> str:
    """Money, without its cents; a dash for what is missing."""
    return "-" if value is None else f"{value:,.0f}"


def metric(name: str, figure: Figure) -> str:
    """The value of a metric of performance, or why it has none."""
    if figure.value is None:
        return figure.status
    if name == "max_drawdown_length":
        return f"{figure.value:.0f}"
    return percent(figure.value) if name in _METRICS_IN_PERCENT else f"{figure.value:.3f}"
