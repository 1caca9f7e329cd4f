"""The scale of sizes: in order of lightness, told apart also by colour-blind eyes, read on its ground."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from kitui.services.palette import MARKERS, ON_DARK, ON_LIGHT, looks

_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# Machado, Oliveira and Fernandes 2009, severity 1.
_SEEN = {
    "all colours": np.eye(3),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deuteranopia": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
}


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = _TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("scale", [ON_DARK, ON_LIGHT])
def test_lightness_falls_from_small_to_large(scale: tuple[str, ...]) -> None:
    lightness = [lab(linear(colour))[0] for colour in scale]
    assert all(a - b > 2 for a, b in pairwise(lightness))


@pytest.mark.parametrize("eyes", _SEEN)
@pytest.mark.parametrize("scale", [ON_DARK, ON_LIGHT])
def test_neighbours_are_told_apart(scale: tuple[str, ...], eyes: str) -> None:
    seen = [lab(_SEEN[eyes] @ linear(colour)) for colour in scale]
    assert min(float(np.linalg.norm(a - b)) for a, b in pairwise(seen)) > 4  # 2.3 is just noticeable


@pytest.mark.parametrize(("scale", "ground"), [(ON_DARK, "#121212"), (ON_LIGHT, "#e0e0e0")])
def test_every_colour_is_read_on_its_ground(scale: tuple[str, ...], ground: str) -> None:
    behind = float(_TO_XYZ[1] @ linear(ground))
    for colour in scale:
        own = float(_TO_XYZ[1] @ linear(colour))
        assert (max(own, behind) + 0.05) / (min(own, behind) + 0.05) > 2.6


def test_looks_go_by_size_and_not_by_the_order_given() -> None:
    assert looks([30.0, 10.0, 20.0, 10.0]) == looks([10.0, 20.0, 30.0])
    found = looks(range(1, 9))
    assert [look.colour for look in found.values()] == list(range(8))
    assert len({look.marker for look in found.values()}) == len(MARKERS)
    assert [look.colour for look in looks([1.0, 2.0]).values()] == [0, 7]
    many = list(looks(range(20)).values())
    assert all(a.marker != b.marker for a, b in pairwise(many))
    assert looks([5.0])[5.0].colour == 0
