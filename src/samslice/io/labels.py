"""Labels to files: staged next to their place, renamed when they are complete."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samslice._version import __version__
from samslice.io.axes import NO_UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from numpy.typing import DTypeLike

_SUFFIXES = (".tif", ".tiff", ".zarr")
_CHUNK = 4096
_BIG = 2**32 - 2**25  # a classic TIFF addresses four gigabytes, headers included


def check_output(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    suffixes: Sequence[str] = _SUFFIXES,
) -> Path:
    """Refuse a place for a result, before any work is spent on it.

    Parameters
    ----------
    path : str or path-like
        Where the result is to stand.
    overwrite : bool, optional
        Whether a result that is there may be replaced.
    suffixes : sequence of str, optional
        Allowed endings of the name.

    Returns
    -------
    Path
        The place.

    Raises
    ------
    ValueError
        If the ending is none of the allowed ones.
    OSError
        If the folder is missing or not writable, something stands there that
        may not be replaced, or it is not a result of this kind.
    """
    path = Path(path).expanduser().absolute()
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise ValueError(
            f"{path.name!r} ends in {suffix or 'nothing'!r}; allowed are {', '.join(suffixes)}."
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {path.parent} does not exist; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"the folder {path.parent} is not writable; choose another.")
    if not path.exists():
        return path
    if not overwrite:
        raise FileExistsError(
            f"{path} exists; choose another name, or replace it (overwrite=True, --force)."
        )
    # Never remove a folder that merely has the name of a result.
    is_zarr = any((path / name).is_file() for name in ("zarr.json", ".zarray", ".zgroup"))
    if not (is_zarr if suffix == ".zarr" else path.is_file()):
        raise FileExistsError(f"{path} exists and is no {suffix} result; choose another name.")
    return path


class LabelsFile:
    """Labels on their way into a file, which appears only when it is complete.

    Made by `open_labels`. Write into `array`, then call `commit`. As a context
    manager it discards what was not committed.

    Attributes
    ----------
    path : Path
        Where the file is to stand.
    array : zarr.Array
        The labels, zero at first.
    """

    def __init__(self, path: Path, array: Any, stage: Path, *, overwrite: bool) -> None:
        self.path = path
        self.array = array
        self._stage = stage
        self._overwrite = overwrite

    def __enter__(self) -> LabelsFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.discard()

    def commit(self, path: Path | None = None) -> Path:
        """Finish the file and let it appear in its place.

        Parameters
        ----------
        path : Path, optional
            Another place, with the same ending, for instance for a part of the
            result. Nothing that stands there is replaced.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        OSError
            If it cannot be written, or something has appeared there meanwhile.
        """
        target = check_output(path or self.path, overwrite=self._overwrite and path is None)
        if target.suffix.lower() == ".zarr":
            _replace_folder(self._stage, target)
            return target
        written = _temporary(self.path, "part.tif")
        try:
            _write_tiff(written, self.array)
            os.replace(written, target)
        finally:
            written.unlink(missing_ok=True)
        self.discard()
        return target

    def discard(self) -> None:
        """Remove what has not been committed; harmless after a commit."""
        shutil.rmtree(self._stage, ignore_errors=True)


def _temporary(path: Path, ending: str) -> Path:
    # In the same folder, so that the last step is a rename on one file system.
    return path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}.{ending}")


def _replace_folder(source: Path, target: Path) -> None:
    # A folder cannot be replaced in one step: the old one moves aside first,
    # and comes back if the new one cannot take its place.
    if not target.exists():
        os.rename(source, target)
        return
    aside = _temporary(target, "old.zarr")
    os.rename(target, aside)
    try:
        os.rename(source, target)
    except OSError:
        os.rename(aside, target)
        raise
    shutil.rmtree(aside)


def open_labels(
    path: str | os.PathLike[str],
    shape: Sequence[int],
    dtype: DTypeLike,
    *,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    axis: str = "Z",
    overwrite: bool = False,
) -> LabelsFile:
    """Start a file of labels that are written plane by plane.

    Parameters
    ----------
    path : str or path-like
        A ``.tif`` (OME-TIFF, compressed) or ``.zarr`` (one chunk per plane).
    shape : sequence of int
        (rows, columns) or (planes, rows, columns).
    dtype : dtype-like
        ``uint8``, ``uint16`` or ``uint32``.
    spacing : sequence of float, optional
        Size of a voxel along each axis, kept in the file.
    unit : str, optional
        Its unit, for instance ``"µm"``. If left out, the file says that there
        is none, and only the proportions of a voxel are known.
    axis : str, optional
        Letter of the axis of planes: ``"Z"``, or ``"T"`` for a time series.
    overwrite : bool, optional
        Whether a result that is there may be replaced.

    Returns
    -------
    LabelsFile
        Write into its ``array``, then ``commit()``.

    Raises
    ------
    ValueError
        If the ending, the shape or the dtype is not allowed.
    OSError
        If something stands there, or the folder is not writable.
    """
    import zarr

    target = check_output(path, overwrite=overwrite)
    shape = tuple(int(n) for n in shape)
    dtype = np.dtype(dtype)
    if len(shape) not in (2, 3) or dtype.kind != "u":
        raise ValueError(
            f"labels have shape {shape} and dtype {dtype}; allowed are two or three "
            "dimensions and an unsigned integer type."
        )
    if spacing is not None and len(spacing) != len(shape):
        raise ValueError(f"spacing is {spacing}; allowed is one number per axis of {shape}.")
    attributes: dict[str, Any] = {"made_by": f"samslice {__version__}"}
    if spacing is not None:
        attributes |= {"spacing": [float(s) for s in spacing], "unit": unit}
    stage = _temporary(target, "part.zarr")
    axes = ((axis if axis in ("Z", "T") else "Z") + "YX")[-len(shape) :]
    # Compressed on disk, one plane in a chunk: neither RAM nor the folder fills up
    # while a deep stack is written.
    array = zarr.create_array(
        store=str(stage),
        shape=shape,
        dtype=dtype,
        chunks=(1, *(min(n, _CHUNK) for n in shape[-2:]))[-len(shape) :],
        dimension_names=list(axes.lower()),
        attributes=attributes,
    )
    return LabelsFile(target, array, stage, overwrite=overwrite)


def write_labels(
    path: str | os.PathLike[str],
    labels: Any,
    *,
    spacing: Sequence[float] | None = None,
    unit: str | None = None,
    axis: str = "Z",
    overwrite: bool = False,
) -> Path:
    """Write labels that are in memory.

    Parameters
    ----------
    path : str or path-like
        A ``.tif`` or ``.zarr``.
    labels : array-like of shape (rows, columns) or (planes, rows, columns)
        Unsigned integers; an array that is sliced lazily is read plane by plane.
    spacing, unit, axis, overwrite
        As for `open_labels`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError, OSError
        As for `open_labels`.
    """
    labels = labels if hasattr(labels, "shape") and hasattr(labels, "dtype") else np.asarray(labels)
    with open_labels(
        path,
        labels.shape,
        labels.dtype,
        spacing=spacing,
        unit=unit,
        axis=axis,
        overwrite=overwrite,
    ) as file:
        for where in np.ndindex(labels.shape[:-2]):
            file.array[where] = np.asarray(labels[where])
        return file.commit()


def _write_tiff(path: Path, array: Any) -> None:
    """Write staged labels, with the axes and the spacing that they carry."""
    import tifffile

    axes = "".join(array.metadata.dimension_names).upper()
    metadata: dict[str, Any] = {"axes": axes}
    unit = array.attrs.get("unit")
    for axis, size in zip(axes, array.attrs.get("spacing", ()), strict=False):
        if axis != "T":
            metadata[f"PhysicalSize{axis}"] = size
            # The schema's default is micrometres; this is its word for sizes without a unit.
            metadata[f"PhysicalSize{axis}Unit"] = unit or NO_UNIT
    size = int(np.prod(array.shape)) * array.dtype.itemsize
    with tifffile.TiffWriter(path, ome=True, bigtiff=size > _BIG) as writer:
        writer.write(
            _planes(array),
            shape=array.shape,
            dtype=array.dtype,
            compression="zlib",
            photometric="minisblack",
            metadata=metadata,
            # Its threads would read up to half a gigabyte of planes ahead of them.
            maxworkers=1,
            software=f"samslice {__version__}",
        )


def _planes(array: Any) -> Iterator[Any]:
    if array.ndim == 2:
        yield array[...]
        return
    for index in range(array.shape[0]):
        yield array[index]
