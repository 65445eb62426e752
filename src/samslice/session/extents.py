"""Where objects lie on planes, so that a large plane is not searched for them again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from samslice.engine.regions import bounds, join_regions

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from samslice.engine.types import Region
    from samslice.session.labels import LabelsTarget
    from samslice.session.state import Key, Place

_BLOCK = 1 << 22  # pixels that are searched at a time
_CHUNK_ROWS = 512  # rows of a chunk on disk: blocks do not cut through one


class _Extent(NamedTuple):
    """All pixels of an object lie in the region; the witness was one of them."""

    region: Region
    witness: tuple[int, int]


class Extents:
    """Remember where objects were found, and keep up with what is written.

    Parameters
    ----------
    target : LabelsTarget
        The labels.
    """

    def __init__(self, target: LabelsTarget) -> None:
        self._target = target
        self._known: dict[Key, _Extent | None] = {}

    def find(self, key: Key) -> Region | None:
        """Say where an object can be on a plane.

        Parameters
        ----------
        key : Key
            Object and plane.

        Returns
        -------
        tuple of int or None
            (row0, col0, row1, col1), half-open, that holds all of its pixels; it may
            have lost them since. None where the plane had none when it was searched.
        """
        if key not in self._known:
            rows, cols = key.view.plane_shape(tuple(self._target.shape))
            self._known[key] = self._search(key, (0, 0, rows, cols))
        extent = self._known[key]
        return None if extent is None else extent.region

    def shows(self, key: Key) -> bool:
        """Whether a plane has pixels of an object.

        Parameters
        ----------
        key : Key
            Object and plane.

        Returns
        -------
        bool
            As the labels are now.
        """
        region = self.find(key)
        extent = self._known[key]
        if region is None or extent is None:
            return False
        row, col = extent.witness
        if self._read(key.place, (row, col, row + 1, col + 1))[0, 0] != key.object_id:
            self._known[key] = self._search(key, region)
        return self._known[key] is not None

    def _read(self, place: Place, window: Region) -> NDArray[Any]:
        return place.view.turn(self._target.read(place.indices(window)))

    def _search(self, key: Key, region: Region) -> _Extent | None:
        row0, col0, row1, col1 = region
        step = max(_BLOCK // max(col1 - col0, 1) // _CHUNK_ROWS, 1) * _CHUNK_ROWS
        found: list[Region] = []
        witness = (0, 0)
        for row in range(row0, row1, step):
            block = self._read(key.place, (row, col0, min(row + step, row1), col1))
            mask = block == key.object_id
            if mask.any():
                top, left, bottom, right = bounds(mask)
                if not found:
                    witness = (row + top, col0 + int(mask[top].argmax()))
                found.append((row + top, col0 + left, row + bottom, col0 + right))
        return _Extent(join_regions(found), witness) if found else None

    def written(self, place: Place, region: Region, object_ids: Collection[int]) -> None:
        """Take note of what was written to a plane.

        Parameters
        ----------
        place : Place
            The plane.
        region : tuple of int
            Where.
        object_ids : collection of int
            Labels that stand there now.
        """
        for key, extent in list(self._known.items()):
            if key.object_id not in object_ids:
                continue
            if key.view != place.view or extent is None:
                del self._known[key]  # its plane may cross this one, or it has a first pixel now
            elif key.plane == place.plane:
                self._known[key] = extent._replace(region=join_regions([extent.region, region]))

    def forget(self, object_ids: Collection[int] | None = None) -> None:
        """Search anew when asked again.

        Parameters
        ----------
        object_ids : collection of int, optional
            For these; for all if left out.
        """
        if object_ids is None:
            self._known.clear()
            return
        for key in [k for k in self._known if k.object_id in object_ids]:
            del self._known[key]
