"""Which axes a file has, and which of them become the stack, the plane and the colours.

Axes are letters as in TIFF and OME: Z plane, Y row, X column, C channel, T time
point, S colour sample; any other letter is an axis whose meaning is not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from samslice.io.source import UNNAMED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_UNIT = "reference frame"
"""What OME-TIFF calls the unit of sizes of which only the proportions are known."""

_CHOOSE = {"C": "channel", "T": "time", "Z": "z"}

_MICROMETRES = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "nanometre": 1e-3,
    "µm": 1.0,  # U+00B5, the micro sign
    "μm": 1.0,  # U+03BC, the Greek letter, which `lower` makes of the former in some files
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "millimetre": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "centimetre": 1e4,
    "inch": 25400.0,
    "m": 1e6,
    "meter": 1e6,
    "metre": 1e6,
}


# Axes that a file of so many may have: what an error shows as an example.
_EXAMPLES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TZCYX", 6: "TZCYXS"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How axes of a file become ``(stack,) row, column (, sample)``.

    Attributes
    ----------
    axes : str
        The axes that are kept, in their new order, for instance ``"ZYX"``.
    order : tuple of int
        Position in the file of each kept axis.
    fixed : mapping of int to int
        Position in the file of each axis that is not kept, and the index on it.
    """

    axes: str
    order: tuple[int, ...]
    fixed: Mapping[int, int]


def describe_axes(axes: str, shape: Sequence[int]) -> str:
    """List axes and sizes for a person.

    Parameters
    ----------
    axes : str
        One letter for each axis.
    shape : sequence of int
        Their sizes.

    Returns
    -------
    str
        For instance ``"unnamed=4, Z=30, Y=512, X=512"``.
    """
    names = ("unnamed" if letter == UNNAMED else letter for letter in axes)
    return ", ".join(f"{name}={size}" for name, size in zip(names, shape, strict=False))


def choose_axes(
    axes: str,
    shape: Sequence[int],
    *,
    colour: bool = False,
    channel: int | None = None,
    time: int | None = None,
    z: int | None = None,
    name: str = "the image",
) -> Layout:
    """Decide which axes of a file are the stack, the rows, the columns and the colours.

    Parameters
    ----------
    axes : str
        One letter for each axis of the file.
    shape : sequence of int
        Their sizes.
    colour : bool, optional
        Whether three or four samples of a pixel (S) are its colour. Otherwise
        they are channels.
    channel, time, z : int, optional
        Index to take on that axis.
    name : str, optional
        What to call the file in messages.

    Returns
    -------
    Layout
        ``YX``, ``YXS``, ``?YX`` or ``?YXS``, where ? is the stack's axis: the
        only one that is left and longer than 1.

    Raises
    ------
    ValueError
        If rows or columns are missing, an index is out of range, or more than
        one axis is left; the message lists axes and sizes.
    """
    axes = axes.upper()
    sizes = describe_axes(axes, shape)
    named = axes.replace(UNNAMED, "")
    if len(axes) != len(shape) or len(set(named)) != len(named):
        raise ValueError(
            f"{name} has shape {tuple(shape)}, but its axes are {axes!r}; give one letter "
            f"for each axis, each once, {len(shape)} in all: {_example(shape)}."
        )
    if not {"Y", "X"} <= set(axes):
        raise ValueError(
            f"{name} has the axes {sizes}; allowed are images with rows (Y) and columns (X). "
            f"Name its axes, {len(shape)} letters: {_example(shape)}."
        )
    if "S" in axes and not (colour and shape[axes.index("S")] in (3, 4)):
        axes = axes.replace("S", "A" if "C" in axes else "C")
    wanted = {"C": channel, "T": time, "Z": z}
    if "C" not in axes and channel is not None and "S" in axes:
        axes = axes.replace("S", "C")  # one channel of a colour image
    fixed = _fix(axes, shape, wanted, name, sizes)
    left = [i for i, a in enumerate(axes) if i not in fixed and a not in "YXS"]
    if len(left) > 1 or any(axes[i] == "C" for i in left):
        raise ValueError(
            f"{name} has the axes {sizes}; a stack has one axis besides Y and X. "
            + _remedy(axes, shape, left)
        )
    kept = [*left, axes.index("Y"), axes.index("X"), *([axes.index("S")] if "S" in axes else [])]
    return Layout("".join(axes[i] for i in kept), tuple(kept), fixed)


def _fix(
    axes: str, shape: Sequence[int], wanted: Mapping[str, int | None], name: str, sizes: str
) -> dict[int, int]:
    """Find the index on each axis that is chosen or has a single entry."""
    fixed = {i: 0 for i, a in enumerate(axes) if shape[i] == 1 and a not in "YXS"}
    for letter, index in wanted.items():
        if index is None:
            continue
        word = _CHOOSE[letter]
        size = shape[axes.index(letter)] if letter in axes else 1
        if not 0 <= index < size:
            allowed = f"0 to {size - 1}" if size > 1 else f"0 or nothing: it has one {word}"
            raise ValueError(
                f"{word} is {index}, but {name} has the axes {sizes}; allowed is {allowed}."
            )
        if letter in axes:
            fixed[axes.index(letter)] = index
    return fixed


def _remedy(axes: str, shape: Sequence[int], left: Sequence[int]) -> str:
    """Say which choices would leave one axis."""
    ranges = [(axes[i], f"{_CHOOSE.get(axes[i])} (0 to {shape[i] - 1})") for i in left]
    choices = [text for letter, text in ranges if letter == "C"]
    others = [letter for letter, _ in ranges if letter != "C"]
    if len(others) > 1:
        known = [text for letter, text in ranges if letter != "C" and letter in _CHOOSE]
        if not known:
            return f"Name its axes, {len(shape)} letters ({_example(shape)}), and choose time or z."
        choices.append(" or ".join(known))
    return f"Choose {', and '.join(choices)}."


def _example(shape: Sequence[int]) -> str:
    letters = _EXAMPLES.get(len(shape), "TZCYX")
    return f"axes='{letters}', or --axes {letters} on the command line"


def to_micrometres(
    scale: Mapping[str, float], units: Mapping[str, str | None]
) -> tuple[dict[str, float], str | None]:
    """Bring sizes along several axes to one unit.

    Parameters
    ----------
    scale : mapping of str to float
        Size of a voxel along each axis.
    units : mapping of str to str or None
        Unit of each of them, as the file spells it.

    Returns
    -------
    scale : dict of str to float
        In micrometres where every unit is known; unchanged where they agree
        on another; empty where they do not.
    unit : str or None
        ``"µm"``, the other unit, or None.
    """
    names = {axis: (units.get(axis) or "").strip().removesuffix(NO_UNIT) for axis in scale}
    factors = {axis: _MICROMETRES.get(name.lower()) for axis, name in names.items()}
    if scale and all(factor is not None for factor in factors.values()):
        return {axis: size * (factors[axis] or 1.0) for axis, size in scale.items()}, "µm"
    if len(set(names.values())) == 1:
        return dict(scale), next(iter(names.values())) or None
    return {}, None
