"""Bars as SVG: a few lines of text, the same for the same figures."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from benchmarks.figures import Spread

__all__ = ["bars"]

_ROW = 26
_LEFT = 190
_WIDTH = 420
_RIGHT = 90
_TOP = 34


def bars(title: str, values: Mapping[str, Spread], *, marked: str) -> str:
    """A bar for each value with a line from its smallest to its largest round.

    Args:
        values: In the order in which they are drawn, from the top.
        marked: The label of the bar that stands out.
    """
    most = max((value.high for value in values.values()), default=0.0) or 1.0
    height = _TOP + _ROW * len(values) + 8
    width = _LEFT + _WIDTH + _RIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        # A ground of its own, to be read on dark pages too.
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="8" y="20" font-size="13" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (label, value) in enumerate(values.items()):
        top = _TOP + _ROW * number
        middle = top + _ROW / 2

        def at(figure: float) -> float:
            return _LEFT + _WIDTH * figure / most

        colour = "#d9480f" if label == marked else "#8aa0b4"
        lines += [
            f'<text x="{_LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{_LEFT}" y="{top + 4}" width="{at(value.median) - _LEFT:.1f}" '
            f'height="{_ROW - 8}" fill="{colour}"/>',
            f'<line x1="{at(value.low):.1f}" x2="{at(value.high):.1f}" y1="{middle:.1f}" '
            f'y2="{middle:.1f}" stroke="#222"/>',
            f'<text x="{at(value.high) + 6:.1f}" y="{middle + 4:.1f}">{value.median:,.0f}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
