"""Charts: well-formed, in place, and without anything that the page did not ask for."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from locscale_hybrid.results.report.svg import (
    Area,
    Bars,
    Curve,
    Mark,
    chart,
    decade_axis,
    legend,
    linear_axis,
    resolution_axis,
)

X = np.array([0.0, 0.5, 1.0])


def points(element):
    """Coordinates of a path of straight lines."""
    return [
        tuple(map(float, pair)) for pair in re.findall(r"[ML]([\d.-]+) ([\d.-]+)", element.get("d"))
    ]


def drawn(items, x=None, y=None):
    """The parsed chart."""
    return ElementTree.fromstring(
        chart("a title", x or linear_axis("x", 0, 1), y or linear_axis("y", 0, 1), items)
    )


def paths(svg, name):
    return [path for path in svg.iter("path") if name in path.get("class", "").split()]


def test_a_straight_line_is_straight_and_ends_at_the_corners_of_the_axes():
    svg = drawn([Curve("line", X, X)])
    (left, bottom), middle, (right, top) = points(paths(svg, "c0")[0])
    (axis,) = paths(svg, "axis")
    across, up, along = re.fullmatch(r"M(\S+) (\S+)V(\S+)H(\S+)", axis.get("d")).groups()[0:3]
    assert (left, top, bottom) == (float(across), float(up), float(along))
    assert middle == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=0.1)


def test_a_curve_breaks_where_there_is_no_number():
    y = np.array([0.0, np.nan, 1.0])
    (path,) = paths(drawn([Curve("gap", X, y)]), "c0")
    assert path.get("d").count("M") == 2


def test_values_outside_the_axes_are_cut_off_by_a_clip():
    svg = drawn([Curve("far", X, np.array([0.0, 1e9, -1e9]))])
    (group,) = [g for g in svg.iter("g") if g.get("clip-path")]
    clip = next(svg.iter("clipPath"))
    assert group.get("clip-path") == f"url(#{clip.get('id')})"
    assert all(abs(y) < 1e4 for _, y in points(paths(svg, "c0")[0]))


def test_bars_have_a_step_at_every_edge():
    svg = drawn([Bars("counts", np.array([0.0, 0.5, 1.0]), np.array([0.25, 0.75]))])
    corners = points(paths(svg, "bar")[0])
    assert len(corners) == 6
    assert corners[1][1] == corners[2][1] and corners[3][1] == corners[4][1]
    assert corners[0][1] == corners[5][1]


def test_an_area_returns_along_its_upper_curve():
    svg = drawn([Area("range", X, X * 0, X * 0 + 1)])
    assert len(points(paths(svg, "area")[0])) == 6


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", 'a"b', "A & B"])
def test_labels_are_escaped(text):
    items = [
        Curve(text, X, X),
        Area(text, X, X, X),
        Bars(text, X, X[1:]),
        Mark(text, x=0.5),
        Mark(text, y=0.5),
    ]
    written = chart(text, linear_axis(text, 0, 1), linear_axis(text, 0, 1), items) + legend(items)
    root = ElementTree.fromstring(f"<root>{written}</root>")
    assert not list(root.iter("script"))
    assert text in [element.text for element in root.iter("text")]


def test_resolutions_stand_at_their_frequencies_and_apart():
    axis = resolution_axis(0.5)
    assert all(place == pytest.approx(1 / float(text)) for place, text in axis.ticks)
    places = [place for place, _ in axis.ticks]
    assert np.diff(places).min() > 0.03
    assert axis.ticks[-1][1] in ("2", "2.2")


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.0, 240.0, ["0", "50", "100", "150", "200"]),
        (-0.1, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.0, 1.3, ["0.00", "0.25", "0.50", "0.75", "1.00", "1.25"]),
    ],
)
def test_ticks_are_round_numbers(low, high, texts):
    assert [text for _, text in linear_axis("y", low, high).ticks] == texts


def test_decades_are_powers_of_ten():
    axis = decade_axis("a", -1.2, 3.4)
    assert axis.ticks == ((-1.0, "0.1"), (0.0, "1"), (1.0, "10"), (2.0, "100"), (3.0, "1e3"))


def test_an_axis_without_range_has_one():
    axis = linear_axis("y", 2.0, 2.0)
    assert axis.high > axis.low


def test_curves_differ_in_more_than_colour():
    entries = ElementTree.fromstring(legend([Curve(str(i), X, X, i) for i in range(4)]))
    dashes = [path.get("stroke-dasharray") for path in entries.iter("path")]
    assert len(set(dashes)) == 4
