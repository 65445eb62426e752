"""Objects on one plane compete for its pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from samslice.engine.strategy import Proposal


def compete(
    proposals: Sequence[Proposal], taken: NDArray[np.bool_], *, share: bool = False
) -> list[NDArray[np.bool_]]:
    """Give each pixel to the object with the highest logit there.

    Parameters
    ----------
    proposals : sequence of Proposal
        One for each object.
    taken : ndarray of shape (rows, columns), bool
        Pixels of the plane that nobody may have.
    share : bool, optional
        Let every object keep all it claims, apart from what is taken.

    Returns
    -------
    list of ndarray of bool
        The mask of each proposal, inside its region.
    """
    best = np.zeros(taken.shape, np.float32)
    winner = np.full(taken.shape, -1, np.int32)
    claims: list[NDArray[np.bool_]] = []
    for number, proposal in enumerate(proposals):
        if proposal.region is None:
            claims.append(np.zeros((0, 0), bool))
            continue
        row0, col0, row1, col1 = proposal.region
        here = np.s_[row0:row1, col0:col1]
        claim = (proposal.logits > 0) & ~taken[here]
        claims.append(claim)
        if not share:
            wins = claim & (proposal.logits > best[here])
            best[here][wins] = proposal.logits[wins]
            winner[here][wins] = number
    if share:
        return claims
    masks = []
    for number, (proposal, claim) in enumerate(zip(proposals, claims, strict=True)):
        if proposal.region is not None:
            row0, col0, row1, col1 = proposal.region
            claim = winner[row0:row1, col0:col1] == number
        masks.append(claim)
    return masks
