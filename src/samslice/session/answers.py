"""The decoder's answers, kept while they may be asked for again."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samslice.engine.strategy import Proposal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from samslice.engine.types import Prediction
    from samslice.session.state import Items


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The masks that one object may have on one plane, best first.

    Attributes
    ----------
    object_id : int
        The object.
    plane : int
        Index along the stack axis.
    prediction : Prediction
        Logits, scores, and masks when they are asked for.
    chosen : int
        Which of them is shown.
    """

    object_id: int
    plane: int
    prediction: Prediction
    chosen: int

    def __len__(self) -> int:
        return len(self.prediction.scores)

    @property
    def scores(self) -> NDArray:  # type: ignore[type-arg]
        """The IoU that the model predicts for each, shape (k,)."""
        return self.prediction.scores

    @property
    def masks(self) -> NDArray:  # type: ignore[type-arg]
        """Masks of shape (k, rows, columns), made when first asked for."""
        return self.prediction.masks


class Answers:
    """Predictions by the prompts that led to them; the least recently used go first.

    Parameters
    ----------
    limit_bytes : int, optional
        Bytes to keep.
    """

    def __init__(self, limit_bytes: int = 1 << 27) -> None:
        self._limit = limit_bytes
        self._held = 0
        self._entries: OrderedDict[Items, Prediction] = OrderedDict()
        self._shown: dict[Items, tuple[int, Proposal]] = {}

    def get(self, items: Items) -> Prediction | None:
        """Find an answer.

        Parameters
        ----------
        items : tuple of PromptItem
            What was asked.

        Returns
        -------
        Prediction or None
            None if it is not kept (any more).
        """
        found = self._entries.get(items)
        if found is not None:
            self._entries.move_to_end(items)
        return found

    def put(self, items: Items, prediction: Prediction) -> None:
        """Keep an answer.

        Parameters
        ----------
        items : tuple of PromptItem
            What was asked.
        prediction : Prediction
            The answer.
        """
        self._drop(items)
        self._entries[items] = prediction
        self._held += prediction.logits.nbytes
        while self._held > self._limit and len(self._entries) > 1:
            self._drop(next(iter(self._entries)))

    def proposal(self, items: Items, prediction: Prediction, candidate: int) -> Proposal:
        """Bring one candidate to the plane's pixels, or take it from the last time.

        Parameters
        ----------
        items : tuple of PromptItem
            What was asked.
        prediction : Prediction
            The answer.
        candidate : int
            Which of its masks.

        Returns
        -------
        Proposal
            Inside the region that its positive logits reach.
        """
        number, proposal = self._shown.get(items, (-1, None))
        if proposal is None or number != candidate:
            before = proposal
            proposal = Proposal.of(items[0].object_id, prediction, candidate)
            if items in self._entries:
                self._held += proposal.logits.nbytes - (
                    0 if before is None else before.logits.nbytes
                )
                self._shown[items] = candidate, proposal
        return proposal

    def _drop(self, items: Items) -> None:
        prediction = self._entries.pop(items, None)
        _, proposal = self._shown.pop(items, (0, None))
        self._held -= 0 if prediction is None else prediction.logits.nbytes
        self._held -= 0 if proposal is None else proposal.logits.nbytes

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._shown.clear()
        self._held = 0
