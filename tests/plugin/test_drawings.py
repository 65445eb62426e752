"""Shapes as prompts, and prompts as shapes."""

import numpy as np
import pytest

from samslice.plugin.drawings import Drawing, drawing_of, ellipse_mask, polygon_mask, read_drawing
from samslice.session.state import PromptItem
from samslice.session.view import View

SHAPE = (4, 40, 50)
VIEW = View.whole(3)


def drawing(kind, *rc, plane=2):
    return Drawing(kind, np.array([(plane, *p) for p in rc], float))


def test_a_rectangle_is_the_box_of_the_pixels_inside_it():
    """Its edges lie between pixels: from 9.5 to 19.5 are the pixels 10 to 19."""
    found = read_drawing(
        drawing("rectangle", (9.5, 4.5), (9.5, 24.5), (19.5, 24.5), (19.5, 4.5)), VIEW, SHAPE
    )
    assert (found.plane, found.kind, found.value) == (2, "box", (10, 5, 20, 25))


def test_a_box_and_its_rectangle_are_each_others_inverse():
    item = PromptItem(1, 1, VIEW, 3, "box", box=(10.0, 5.0, 20.0, 25.0))
    assert read_drawing(drawing_of(item), VIEW, SHAPE).value == item.box


def test_a_turned_rectangle_is_a_mask():
    found = read_drawing(drawing("rectangle", (10, 20), (20, 30), (30, 20), (20, 10)), VIEW, SHAPE)
    assert found.kind == "mask"
    assert found.value.sum() == pytest.approx(200, rel=0.15)


def test_an_ellipse_has_its_area_and_place():
    mask = ellipse_mask(np.array([(10, 10), (10, 40), (30, 40), (30, 10)], float), (40, 50))
    assert mask.sum() == pytest.approx(np.pi * 10 * 15, rel=0.03)
    np.testing.assert_allclose(np.argwhere(mask).mean(axis=0), (20, 25), atol=0.1)


def test_a_polygon_beyond_the_plane_is_cut():
    mask = polygon_mask(np.array([(-10, -10), (-10, 5), (5, 5), (5, -10)], float), (40, 50))
    assert mask[:5, :5].all()
    assert mask.sum() <= 36


def test_a_path_is_a_scribble_inside_the_plane():
    found = read_drawing(drawing("path", (5, 5), (5, 70)), VIEW, SHAPE)
    assert found.kind == "scribble"
    assert found.value.max() <= 49


@pytest.mark.parametrize(
    "vertices",
    [[(0, 5, 5), (3, 5, 9), (3, 9, 9)], [(2, 90, 5), (2, 90, 9), (2, 99, 9)],
     [(9, 5, 5), (9, 5, 9), (9, 9, 9)]],
)  # fmt: skip
def test_what_lies_in_no_plane_of_the_image_is_refused(vertices):
    with pytest.raises(ValueError, match="drawing"):
        read_drawing(Drawing("polygon", np.array(vertices, float)), VIEW, SHAPE)


def test_in_a_transposed_view_rows_and_columns_change_places():
    view = View((0, 0, 0), 2, 1, 0)
    found = read_drawing(
        drawing("rectangle", (9.5, 4.5), (9.5, 24.5), (19.5, 24.5), (19.5, 4.5)), view, SHAPE
    )
    assert found.value == (5, 10, 25, 20)
