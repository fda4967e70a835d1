"""Curves as SVG, without a library: what `benchmarks.scale` draws."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 360, 230, 52, 14, 34, 38
_COLORS = ("#1b6ca8", "#c8553d", "#588157")
_TICKS = 4

Points = Sequence[tuple[float, float]]


class Panel(NamedTuple):
    """title: with the unit. curves: by name, points in ascending order."""

    title: str
    curves: Mapping[str, Points]


def draw(panels: Sequence[Panel], below: str) -> str:
    """Panels side by side, two in a row. below: what stands under each axis of x."""
    rows = -(-len(panels) // 2)
    width, height = 2 * _WIDTH, rows * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        "<style>text { font: 11px sans-serif }</style>",
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, 2)
        parts.append(f'<g transform="translate({column * _WIDTH} {row * _HEIGHT})">')
        parts += _panel(panel, below)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, below: str) -> list[str]:
    points = [point for curve in panel.curves.values() for point in curve]
    step_x, step_y = _step(max(x for x, _ in points)), _step(max(y for _, y in points))
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + x / (_TICKS * step_x) * (right - _LEFT),
            bottom - y / (_TICKS * step_y) * (bottom - _TOP),
        )

    parts = [f'<text x="{_LEFT}" y="18" style="font-weight: bold">{escape(panel.title)}</text>']
    for tick in range(_TICKS + 1):
        x, y = at(tick * step_x, tick * step_y)
        parts += [
            f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick * step_y:g}</text>',
            f'<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{tick * step_x:g}</text>',
        ]
    parts.append(f'<text x="{(_LEFT + right) / 2:.0f}" y="{bottom + 31}" text-anchor="middle">{escape(below)}</text>')
    for number, (name, curve) in enumerate(panel.curves.items()):
        color, places = _COLORS[number % len(_COLORS)], [at(*point) for point in curve]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>' for x, y in places]
        if len(panel.curves) > 1:
            y = _TOP + 14 * (number + 1) - 4
            parts.append(f'<text x="{_LEFT + 8}" y="{y}" fill="{color}">{escape(name)}</text>')
    return parts


def _step(most: float) -> float:
    """Between two ticks: 1, 2, 2.5 or 5 times a power of ten, so that `_TICKS` of them reach `most`."""
    power = 1.0
    while power * _TICKS < most:
        power *= 10
    while power * _TICKS >= most and power > 1e-9:
        power /= 10
    return next(step for step in (power * f for f in (1, 2, 2.5, 5, 10)) if step * _TICKS >= most)
