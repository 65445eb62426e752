"""Answers are kept within a limit, and forgotten as a whole."""

import numpy as np

from samslice.engine.coords import Frame
from samslice.engine.types import Prediction
from samslice.session.answers import Answers
from samslice.session.state import PromptItem
from samslice.session.view import View


def asked(uid):
    return (PromptItem(uid, uid, View.whole(2), 0, "point", points=np.ones((1, 2))),)


def answer():
    logits = np.full((2, 8, 8), -1, np.float32)
    logits[0, 2:5, 2:5] = 1
    logits[1, 1:7, 1:7] = 1
    return Prediction(logits, np.array([0.9, 0.4], np.float32), Frame((8, 8), 8, 8))


def test_the_least_recently_used_go_first():
    answers, one, two, three = Answers(1200), asked(1), asked(2), asked(3)
    answers.put(one, answer())
    answers.put(two, answer())
    assert answers.get(one) is not None
    answers.put(three, answer())
    assert answers.get(two) is None
    assert answers.get(one) is not None
    assert answers.get(three) is not None


def test_a_mask_that_was_shown_is_not_made_again_and_counts():
    answers, one, two = Answers(1700), asked(1), asked(2)
    prediction = answer()
    answers.put(one, prediction)
    shown = answers.proposal(one, prediction, 0)
    assert shown.object_id == 1
    assert (shown.logits > 0).sum() == 9
    assert answers.proposal(one, prediction, 0) is shown
    assert (answers.proposal(one, prediction, 1).logits > 0).sum() == 36
    assert (answers.proposal(one, prediction, 0).logits > 0).sum() == 9
    answers.put(two, answer())
    assert answers.get(one) is not None
    for uid in range(3, 6):
        answers.put(asked(uid), answer())
    assert answers.get(one) is None
    assert answers.proposal(one, prediction, 0) is not answers.proposal(one, prediction, 0)
    answers.clear()
    assert answers.get(two) is None
    assert answers._held == 0
