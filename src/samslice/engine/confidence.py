"""How sure a travelling object's mask is: one number made of what is known about it."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

_LEAST = 0.02  # of a share whose logarithm is taken


@dataclass(frozen=True, slots=True)
class Signs:
    """What is known of an object's mask on a plane, without knowing the truth.

    Attributes
    ----------
    agreement : float
        IoU of the model's masks with the object as the picture's movement
        carried it here.
    predicted_iou : float
        IoU that the model predicts for its masks.
    overlap : float
        IoU of the mask with that of the plane it came from.
    kept : float
        Share of its claim that competition left it.
    change : float
        Logarithm of its area over that on its anchor.
    worst : float
        The lowest product of agreement and predicted IoU on the way here.
    usual : float
        That product on the planes next to the anchor.
    steps : int
        Planes from the anchor.
    """

    agreement: float
    predicted_iou: float
    overlap: float
    kept: float
    change: float
    worst: float
    usual: float
    steps: int

    @property
    def confirmation(self) -> float:
        """How well the model confirms the moved object, 0 to 1."""
        return float(np.clip(self.agreement * self.predicted_iou, 0, 1))

    def features(self) -> tuple[float, ...]:
        """Give the numbers in the form that the logistic model adds up.

        Returns
        -------
        tuple of float
            Logarithms of the shares, then how much the area has changed, how
            much it has grown, and the distance from the anchor.
        """
        agreement, predicted_iou, overlap, kept, change, worst, usual, steps = astuple(self)
        shares = np.clip([agreement, predicted_iou, overlap, kept, worst, usual], _LEAST, 1)
        return (*np.log(shares).tolist(), abs(change), max(change, 0.0), float(np.log1p(steps)))


_WEIGHTS = (2.87, 13.7, 0.33, 3.08, 3.82, 3.65, -0.33, 1.73, -0.7)
_CONSTANT = 5.37


def confidence(signs: Signs) -> float:
    """Estimate the chance that a mask has an IoU of at least 0.5 with the truth.

    Parameters
    ----------
    signs : Signs
        What is known of the mask.

    Returns
    -------
    float
        0 to 1.

    Notes
    -----
    Logistic regression. The weights were fitted to seven labelled stacks, each
    with the same say, on the planes of a trial run.
    ``benchmarks/bench_confidence.py`` fits the same model to what the default
    draws now, prints its weights, and tells how well the ranking does on sets
    that it was not fitted to.
    """
    logit = _CONSTANT + float(np.dot(_WEIGHTS, signs.features()))
    return float(1 / (1 + np.exp(-logit)))
