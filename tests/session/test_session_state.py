"""State is a value; prompts of an object join as the user means them."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from samslice.engine.coords import Frame
from samslice.session.history import Edit, History, merge
from samslice.session.labels import Patch
from samslice.session.state import (
    Correction,
    Key,
    Place,
    PromptItem,
    State,
    anchors,
    items_on,
    join,
    pending,
    sample_path,
)
from samslice.session.view import View

VIEW = View.whole(3)
FRAME = Frame((6, 6), 64, 64)


def item(uid, object_id=1, plane=0, kind="point", **parts):
    if kind == "point":
        parts.setdefault("points", np.array([[1.0, 2.0]]))
    return PromptItem(uid, object_id, VIEW, plane, kind, **parts)


def test_points_join_with_their_signs_and_the_latest_box_counts():
    one = np.zeros((6, 6), bool)
    other = one.copy()
    one[1, 1], other[4, 4] = True, True
    state = State(
        prompts=(
            item(1),
            item(2, positive=False, points=np.array([[3.0, 4.0]])),
            item(3, kind="box", box=(0.0, 0.0, 2.0, 2.0)),
            item(4, kind="box", box=(1.0, 1.0, 5.0, 5.0)),
            item(5, kind="mask", mask=one),
            item(6, kind="mask", mask=other),
            item(7, object_id=2),
            item(8, plane=1),
        )
    )
    prompt = join(items_on(state, Place(VIEW, 0))[1], FRAME)
    np.testing.assert_array_equal(prompt.points, [[1, 2], [3, 4]])
    assert prompt.positive.tolist() == [True, False]
    assert prompt.box == (1, 1, 5, 5)
    np.testing.assert_array_equal(prompt.mask, one | other)


def test_a_mask_alone_brings_its_box():
    mask = np.zeros((6, 6), bool)
    mask[1:3, 2:5] = True
    assert join([item(1, kind="mask", mask=mask)], FRAME).box == (1, 2, 3, 5)


def test_no_prompts_are_an_error():
    with pytest.raises(ValueError, match="empty"):
        join([], FRAME)


@given(st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200)), min_size=1, max_size=30))
@example([(0.0, 1.0), (7e-211, 1.0), (0.0, 0.0)])  # a step too short to add up
def test_a_scribble_becomes_a_few_points_on_it_with_both_ends(path):
    path = np.array(path)
    points = sample_path(path)
    assert 1 <= len(points) <= 8
    np.testing.assert_allclose(points[0], path[0])
    if len(points) > 1:
        np.testing.assert_allclose(points[-1], path[-1], atol=1e-9)
    for p in points:
        starts, ends = path[:-1], path[1:]
        if not len(starts):
            break
        step = ends - starts
        length = np.maximum((step**2).sum(1), 1e-300)
        t = np.clip(((p - starts) * step).sum(1) / length, 0, 1)
        assert np.linalg.norm(starts + t[:, None] * step - p, axis=1).min() < 1e-6


def test_pending_are_objects_with_prompts_that_are_not_finished():
    state = State(prompts=(item(1), item(2, object_id=2)), finished=frozenset({2, 7}))
    assert pending(state) == {1}
    assert set(items_on(state, Place(VIEW, 0))) == {1, 2}


def test_anchors_are_planes_with_prompts_or_strokes_but_no_end_mark():
    dot = Correction((0, 0, 1, 1), np.ones((1, 1), bool), np.zeros((1, 1), bool))
    state = State(
        prompts=(item(1, plane=4), item(2, plane=2), item(3, object_id=2, plane=9)),
        corrections={Key(1, VIEW, 7): dot, Key(1, VIEW, 8): dot},
        ends=frozenset({Key(1, VIEW, 8)}),
    )
    assert anchors(state, 1, VIEW) == [2, 4, 7]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), min_size=1))
def test_the_latest_stroke_on_a_pixel_counts(dots):
    """Strokes one by one, whatever their windows, equal the strokes on a whole plane."""
    expected = np.zeros((6, 6), np.int8)
    joined = None
    for row, col, add in dots:
        one = np.array([[True]])
        stroke = Correction((row, col, row + 1, col + 1), one & add, one & (not add))
        joined = stroke if joined is None else joined.then(stroke)
        expected[row, col] = 1 if add else -1
    got = np.zeros((6, 6), np.int8)
    row0, col0, row1, col1 = joined.region
    got[row0:row1, col0:col1] = joined.add.astype(np.int8) - joined.erase.astype(np.int8)
    np.testing.assert_array_equal(got, expected)


def edit(label, size=0):
    made = Edit(label, State(), State())
    if size:
        made.patches.append(
            Patch((slice(0, 1),), np.zeros(size // 2, "u1"), np.ones(size // 2, "u1"))
        )
    return made


def test_history_goes_back_and_forth_and_a_new_edit_ends_the_future():
    history = History()
    for name in "abc":
        history.push(edit(name))
    assert [history.undo().label, history.undo().label] == ["c", "b"]
    assert (history.undo_label, history.redo_label) == ("a", "b")
    assert history.redo().label == "b"
    history.push(edit("d"))
    assert history.redo() is None
    assert [history.undo().label for _ in range(3)] == ["d", "b", "a"]
    assert history.undo() is None
    assert history.undo_label == ""


def test_the_oldest_edits_are_forgotten_beyond_the_limit_but_never_the_latest():
    history = History(100)
    for name in "abc":
        history.push(edit(name, 40))
    assert len(history) == 2
    history.push(edit("huge", 1000))
    assert (len(history), history.undo_label) == (1, "huge")
    assert history.nbytes == 1000
    with pytest.raises(ValueError, match="0 or more"):
        History(-1)


def test_changes_keep_the_first_before_and_the_last_after():
    changes = {}
    merge(changes, {"k": (None, 1)})
    merge(changes, {"k": (1, 2), "m": (5, None)})
    assert changes == {"k": (None, 2), "m": (5, None)}
