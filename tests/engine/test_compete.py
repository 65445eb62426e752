"""Each pixel goes to one object: the one most sure of it."""

import numpy as np

from samslice.engine.compete import compete
from samslice.engine.strategy import Proposal


def proposal(object_id, region, value):
    shape = (region[2] - region[0], region[3] - region[1])
    return Proposal(object_id, region, np.full(shape, value, np.float32), 1.0)


def test_the_higher_logit_wins_the_overlap():
    strong, weak = proposal(1, (0, 0, 4, 6), 3.0), proposal(2, (0, 4, 4, 8), 1.0)
    for order in ([strong, weak], [weak, strong]):
        masks = dict(
            zip([p.object_id for p in order], compete(order, np.zeros((8, 8), bool)), strict=True)
        )
        assert masks[1].all()
        assert masks[2][:, 2:].all()
        assert not masks[2][:, :2].any()


def test_taken_pixels_stay_with_their_owner():
    taken = np.zeros((8, 8), bool)
    taken[:2] = True
    for share in (False, True):
        (mask,) = compete([proposal(1, (0, 0, 4, 4), 9.0)], taken, share=share)
        assert not mask[:2].any()
        assert mask[2:].all()


def test_sharing_lets_objects_overlap():
    both = [proposal(1, (0, 0, 4, 4), 3.0), proposal(2, (0, 0, 4, 4), 1.0)]
    masks = compete(both, np.zeros((8, 8), bool), share=True)
    assert masks[0].all()
    assert masks[1].all()


def test_an_absent_object_claims_nothing():
    (mask,) = compete([Proposal.nothing(1)], np.zeros((8, 8), bool))
    assert mask.size == 0
