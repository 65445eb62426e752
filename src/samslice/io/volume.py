"""Images and stacks from files, read plane by plane."""

from __future__ import annotations

import operator
import os
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice.io.axes import Layout, choose_axes, to_micrometres
from samslice.io.source import Source, guess_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

TIFF_SUFFIXES = (".tif", ".tiff", ".btf", ".lsm", ".stk")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Volume:
    """An image or a stack in a file, as an array-like that is read where it is sliced.

    Attributes
    ----------
    path : Path
        The file or folder.
    axes : str
        ``"YX"``, ``"YXS"``, ``"?YX"`` or ``"?YXS"``: the letter of the stack's axis,
        row, column and, for a colour image, sample.
    shape : tuple of int
        Size along each axis.
    dtype : numpy.dtype
        Type of a pixel.
    spacing : tuple of float or None
        Size of a voxel along plane, row and column (row and column for a
        single plane); None where the file does not tell all of them.
    unit : str or None
        Unit of the spacing: ``"µm"``, wherever the file names a unit of length.
    """

    path: Path
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    spacing: tuple[float, ...] | None
    unit: str | None
    _source: Source = field(repr=False)
    _layout: Layout = field(repr=False)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def is_stack(self) -> bool:
        """Whether there is an axis of planes."""
        return self.axes.index("Y") == 1

    @property
    def file_axes(self) -> str:
        """One letter for each axis of the file, as the file itself tells them."""
        return self._source.axes

    @property
    def file_shape(self) -> tuple[int, ...]:
        """Size along each axis of the file."""
        return tuple(int(size) for size in self._source.array.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        where: list[int | slice] = [0] * len(self._source.axes)
        for axis, fixed in self._layout.fixed.items():
            where[axis] = fixed
        for axis, part in zip(self._layout.order, _expand(index, self.shape), strict=True):
            where[axis] = part
        block = np.asarray(self._source.array[tuple(where)])
        sliced = [i for i, part in enumerate(where) if isinstance(part, slice)]
        wanted = [axis for axis in self._layout.order if axis in sliced]
        return block.transpose([sliced.index(axis) for axis in wanted])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self[()], dtype=dtype, copy=copy)

    def close(self) -> None:
        """Close the file; the volume cannot be read afterwards."""
        if self._source.close is not None:
            self._source.close()


def _expand(index: Any, shape: tuple[int, ...]) -> list[int | slice]:
    """Write a basic index out as one non-negative integer or forward slice per axis."""
    parts = list(index) if isinstance(index, tuple) else [index]
    dots = [i for i, part in enumerate(parts) if part is Ellipsis]
    gap = len(shape) - (len(parts) - len(dots))
    if len(dots) > 1 or gap < 0:
        raise IndexError(f"index {index!r} does not fit an image of shape {shape}.")
    at = dots[0] if dots else len(parts)
    parts[at : at + len(dots)] = [slice(None)] * gap
    return [_expand_one(part, size) for part, size in zip(parts, shape, strict=True)]


def _expand_one(part: Any, size: int) -> int | slice:
    if isinstance(part, slice):
        start, stop, step = part.indices(size)
        if step < 1:
            raise IndexError(f"the step of {part} is {step}; allowed is at least 1.")
        return slice(start, max(start, stop), step)
    try:
        number = operator.index(part)
    except TypeError:
        raise IndexError(
            f"index {part!r} is a {type(part).__name__}; allowed are integers and slices. "
            "For more, load the part you need with numpy.asarray first."
        ) from None
    if not -size <= number < size:
        raise IndexError(f"index {number} is out of range; allowed is 0 to {size - 1}.")
    return number % size


def read_volume(
    path: str | os.PathLike[str],
    *,
    channel: int | None = None,
    time: int | None = None,
    z: int | None = None,
    series: int = 0,
    level: int = 0,
    axes: str | None = None,
) -> Volume:
    """Open an image or a stack without reading its pixels.

    Parameters
    ----------
    path : str or path-like
        A TIFF (also OME-TIFF and ImageJ), a zarr array or OME-Zarr image
        (0.4 and 0.5), a ``.npy`` array, or a PNG, JPEG or BMP picture.
    channel, time, z : int, optional
        Which index to take on these axes, counted from 0. Needed where more
        than one axis besides row and column is longer than 1; a time series
        of planes is a stack along time.
    series : int, optional
        Which image of a file that holds several.
    level : int, optional
        Which resolution of a pyramid; 0 is the finest.
    axes : str, optional
        One letter for each axis of the file, instead of what its metadata
        says: Z, Y, X, C, T, and S for colour samples.

    Returns
    -------
    Volume
        Sliced lazily; a plane is read when it is asked for.

    Raises
    ------
    ValueError
        If the file is of another kind, an index is out of range, or the
        stack's axis is ambiguous; the message lists axes and sizes.
    OSError
        If the file does not exist or cannot be read.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(
            f"no such file or folder: {path}; it was looked for in {path.absolute().parent}. Check "
            "its name, or give its whole path."
        )
    source = _open(path, series, level)
    try:
        layout = choose_axes(
            axes or source.axes,
            source.array.shape,
            colour=source.colour or axes is not None,
            channel=channel,
            time=time,
            z=z,
            name=path.name,
        )
        volume = _make(path, source, layout)
    except BaseException:
        if source.close is not None:
            source.close()
        raise
    if source.close is not None:
        weakref.finalize(volume, source.close)  # an open file does not outlive its volume
    return volume


def _make(path: Path, source: Source, layout: Layout) -> Volume:
    shape = tuple(int(source.array.shape[i]) for i in layout.order)
    if 0 in shape:
        raise ValueError(f"{path.name} has no pixels: its shape is {source.array.shape}.")
    dtype = np.dtype(source.array.dtype)
    if dtype.kind not in "buif":
        raise ValueError(
            f"{path.name} has dtype {dtype}; allowed are boolean, integer and real pixels."
        )
    wanted = layout.axes.removesuffix("S")
    found = {axis: source.scale[axis] for axis in wanted if axis in source.scale}
    scale, unit = to_micrometres(found, source.units)
    spacing = tuple(scale[axis] for axis in wanted) if len(scale) == len(wanted) else None
    # Time has no length, so a time series has no spacing along its planes.
    if "T" in wanted or (spacing and not all(np.isfinite(s) and s > 0 for s in spacing)):
        spacing = None
    unit = unit if spacing else None
    return Volume(path, layout.axes, shape, dtype, spacing, unit, source, layout)


def _open(path: Path, series: int, level: int) -> Source:
    """Choose the reader; each imports what it needs only when it is used."""
    name = path.name.lower()
    if path.is_dir():
        from samslice.io.zarr_files import open_zarr

        return open_zarr(path, series, level)
    if name.endswith(TIFF_SUFFIXES):
        from samslice.io.tiff_files import open_tiff

        return open_tiff(path, series, level)
    if name.endswith(".npy"):
        return _open_npy(path)
    if name.endswith(PICTURE_SUFFIXES):
        return _open_picture(path)
    raise ValueError(
        f"{path.name} is not a kind of file that can be read; allowed are zarr folders, "
        f"{', '.join((*TIFF_SUFFIXES, '.npy', *PICTURE_SUFFIXES))}. Save it as OME-TIFF."
    )


def _open_npy(path: Path) -> Source:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f"{path.name} is not a readable .npy file of numbers ({error}); write it again with "
            "numpy.save, from an array that holds numbers and not Python objects."
        ) from None
    return Source(array, *guess_axes(array.shape))


def _open_picture(path: Path) -> Source:
    from PIL import Image

    grey, colour = ("1", "LA"), ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX")
    with Image.open(path) as image:
        mode = "L" if image.mode in grey else "RGB" if image.mode in colour else image.mode
        array = np.asarray(image.convert(mode))
    return Source(array, "YXS" if array.ndim == 3 else "YX", colour=array.ndim == 3)
