"""What an object shows on a plane before the first click there: the click corrects it.

A single click on a plane that a propagation, another program or an earlier sitting has
filled is meant as "this part off" or "this part, too". So what stands there goes along
with the clicks, as a mask and its box. It is taken once and kept with the first of the
clicks, so that undo, redo and a later evaluation ask the model the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from samslice.engine.flow_strategy import GIVEN_LOGIT
from samslice.engine.regions import join_regions, within
from samslice.engine.strategy import Proposal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from samslice.engine.coords import Frame
    from samslice.engine.types import Box, Prediction, Prompt, Region
    from samslice.session.state import Items, Key
    from samslice.session.table import Row

_DAB = 0.5  # radius of the disc around a click, in radii of a disc as large as the mask
_LEAST_DAB = 2.0  # low-resolution logits: what the model can see


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """An object's mask on a plane.

    Attributes
    ----------
    region : tuple of int
        (row0, col0, row1, col1), half-open.
    mask : ndarray of shape (rows, columns), bool
        Inside the region.
    row : Row or None
        What the table said of it.
    """

    region: Region
    mask: NDArray[np.bool_]
    row: Row | None = None

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return int(self.mask.nbytes)

    def proposal(self, object_id: int) -> Proposal:
        """Let the mask compete as it is.

        Parameters
        ----------
        object_id : int
            Whose it is.

        Returns
        -------
        Proposal
            Sure of every pixel.
        """
        logits = np.where(self.mask, GIVEN_LOGIT, -GIVEN_LOGIT).astype(np.float32)
        return Proposal(object_id, self.region, logits, 1.0)

    def box(self, points: NDArray[np.float64], shape: tuple[int, int]) -> Box:
        """Make room for clicks outside the mask.

        Parameters
        ----------
        points : ndarray of shape (n, 2)
            Positive clicks.
        shape : tuple of int
            Of the plane.

        Returns
        -------
        tuple of float
            The mask's box; it reaches as far beyond a click as the click lies outside.
        """
        low, high = (np.array(self.region[n : n + 2], float) for n in (0, 2))
        if len(points):
            low -= 2 * np.maximum(low - points.min(axis=0), 0)
            high += 2 * np.maximum(points.max(axis=0) + 1 - high, 0)
        row0, col0 = np.maximum(low, 0).tolist()
        row1, col1 = np.minimum(high, shape).tolist()
        return row0, col0, row1, col1

    def marked(
        self, points: NDArray[np.float64], positive: NDArray[np.bool_], frame: Frame
    ) -> Context:
        """Cut the clicks into the mask, for a model that does not follow them by themselves.

        Parameters
        ----------
        points : ndarray of shape (n, 2)
            The clicks, the later ones over the earlier.
        positive : ndarray of shape (n,)
            Their signs.
        frame : Frame
            The plane's frame.

        Returns
        -------
        Context
            With a disc of object or background around each; its region holds the former.
        """
        least = _LEAST_DAB * frame.pixels_per_logit**0.5
        radius = max(_DAB * (np.count_nonzero(self.mask) / np.pi) ** 0.5, least)
        added = points[positive]
        low = np.maximum(np.floor(added - radius).astype(int), 0).tolist()
        high = np.minimum(np.ceil(added + radius).astype(int) + 1, frame.shape).tolist()
        discs = [(*first, *last) for first, last in zip(low, high, strict=True)]
        region = join_regions([self.region, *discs])
        mask = np.zeros((region[2] - region[0], region[3] - region[1]), bool)
        mask[within(self.region, region)] = self.mask
        rows, cols = np.ogrid[region[0] : region[2], region[1] : region[3]]
        for (row, col), sign in zip(points, positive, strict=True):
            mask[(rows - row) ** 2 + (cols - col) ** 2 < radius**2] = sign
        return Context(region, mask)


def with_context(
    before: Items, after: Items, keys: Iterable[Key], look: Callable[[Key], Context | None]
) -> Items:
    """Let what an object shows on a plane go along with the first click there.

    Later clicks find it there, and it stays when the first one is deleted or moved away.

    Parameters
    ----------
    before, after : tuple of PromptItem
        All prompts, before and after a change of some.
    keys : iterable of Key
        Objects and planes whose prompts are others.
    look : callable
        Says what an object shows on a plane.

    Returns
    -------
    tuple of PromptItem
        Those after the change; at most the first of each object and plane has a context.
    """
    given: dict[int, Context | None] = {}
    for key in keys:
        mine = [item for item in after if item.key == key]
        earlier = [item for item in before if item.key == key]
        held = next((item.context for item in earlier if item.context is not None), None)
        drawn = any(item.kind in ("box", "mask") for item in mine)
        if mine and not earlier and not drawn:
            held = look(key)
        given |= {item.uid: held if item is mine[0] else None for item in mine}
    return tuple(
        item
        if item.uid not in given or item.context is given[item.uid]
        else replace(item, context=given[item.uid])
        for item in after
    )


def follows(prediction: Prediction, prompt: Prompt) -> bool:
    """Whether the best mask holds the positive clicks and none of the negative ones.

    Parameters
    ----------
    prediction : Prediction
        The model's answer.
    prompt : Prompt
        What was asked.

    Returns
    -------
    bool
        True where there are no clicks.
    """
    frame = prediction.frame
    limit = np.array(frame.shape) - 1
    for point, sign in zip(prompt.points, prompt.positive, strict=True):
        row, col = np.clip(np.floor(point + 0.5).astype(int), 0, limit).tolist()
        value = frame.upsample(prediction.logits[0], (row, col, row + 1, col + 1))
        if bool(value[0, 0] > 0) != bool(sign):
            return False
    return True
