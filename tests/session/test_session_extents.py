"""Objects are found where they are, and large planes are read once."""

import numpy as np
import pytest

from samslice.session.extents import Extents
from samslice.session.labels import ArrayLabels
from samslice.session.state import Key, Place
from samslice.session.view import View

VIEW = View.whole(3)


class Counted(ArrayLabels):
    """Counts the pixels that are read."""

    read_pixels = 0

    def read(self, index):
        found = super().read(index)
        self.read_pixels += found.size
        return found


@pytest.fixture
def target():
    array = np.zeros((3, 3000, 2000), np.uint16)
    array[1, 100:130, 40:70] = 5
    array[1, 2900:2910, 1000:1500] = 5
    return Counted(array)


def test_a_plane_is_read_once(target):
    extents = Extents(target)
    assert extents.find(Key(5, VIEW, 1)) == (100, 40, 2910, 1500)
    assert extents.find(Key(6, VIEW, 1)) is None
    assert target.read_pixels == 2 * 3000 * 2000
    for _ in range(5):
        assert extents.shows(Key(5, VIEW, 1))
        assert not extents.shows(Key(6, VIEW, 1))
    assert target.read_pixels == 2 * 3000 * 2000 + 5


def test_pixels_that_vanish_are_noticed_and_searched_for_where_they_were(target):
    extents = Extents(target)
    assert extents.shows(Key(5, VIEW, 1))
    target.array[1, :200] = 0
    assert extents.shows(Key(5, VIEW, 1))
    assert extents.find(Key(5, VIEW, 1)) == (2900, 1000, 2910, 1500)
    target.array[1] = 0
    assert not extents.shows(Key(5, VIEW, 1))
    assert extents.find(Key(5, VIEW, 1)) is None


def test_what_is_written_is_found_on_planes_that_cross_too(target):
    extents, other = Extents(target), View((0, 0, 0), 0, 2, 1)
    crossing = Key(6, other, 50)
    for key in (Key(5, VIEW, 1), Key(6, VIEW, 2), crossing):
        extents.find(key)
    target.array[1, 50:60, 10:20] = 5
    extents.written(Place(VIEW, 1), (50, 10, 60, 20), [5])
    assert extents.find(Key(5, VIEW, 1)) == (50, 10, 2910, 1500)
    target.array[2, 50:60, 10:20] = 6
    extents.written(Place(VIEW, 2), (50, 10, 60, 20), [6])
    assert extents.find(Key(6, VIEW, 2)) == (50, 10, 60, 20)
    assert extents.shows(crossing)


def test_foreign_writing_is_seen_once_somebody_tells_of_it(target):
    extents, key = Extents(target), Key(6, VIEW, 0)
    assert not extents.shows(key)
    target.array[0, 5, 5] = 6
    extents.forget([7])
    assert not extents.shows(key)
    extents.forget([6])
    assert extents.shows(key)
    extents.forget()
    assert extents.find(key) == (5, 5, 6, 6)
