"""Branches: both of those that an object splits into, and those that join it, each once."""

import numpy as np
import pytest
from scipy import ndimage

from samslice.engine.branches import Branches, rim_reach
from samslice.engine.label_store import Page
from samslice.engine.options import PropagateOptions
from samslice.engine.progress import NullProgress
from samslice.engine.propagate import iter_propagate, propagate
from samslice.engine.regions import keep_components, region_iou, tighten
from samslice.engine.schedule import make_schedule
from samslice.engine.strategy import Proposal, Verdict
from samslice.engine.types import Embedding, PlaneResult, Prediction, Prompt, Seed

CLICK = Prompt(points=[(20, 8)])


class FollowBright:
    """An object is what is bright and connected with where it was; needs no model."""

    def __init__(self, components="overlapping", doubtful=()):
        self.last, self.components, self.doubtful = {}, components, doubtful

    def propose(self, plane, anchors, legs):
        bright = np.where(plane.pixels > 0, 1.0, -1.0).astype(np.float32)
        whole = (0, 0, *plane.shape)
        found = []
        for seed in anchors:
            shown = np.zeros(plane.shape, bool) if seed.mask is None else seed.mask.copy()
            if seed.mask is None:
                shown[tuple(seed.prompt.points[0].astype(int))] = True
            found.append((seed.object_id, whole, shown))
        found += [(leg.object_id, *self._recall(leg)) for leg in legs]
        return [
            keep_components(Proposal(o, whole, bright, 0.9), region, mask, self.components)
            for o, region, mask in found
        ]

    def _recall(self, leg):
        return self.last.get(leg) or self.last[leg.object_id, leg.anchor]

    def settle_anchor(self, plane, proposal, mask):
        self.last[proposal.object_id, plane.index] = (proposal.region, mask)
        return Verdict("anchor", "", 0.9, float("nan"))

    def settle(self, plane, leg, proposal, mask):
        region, before = self._recall(leg)
        overlap = region_iou(proposal.region, mask, region, before)
        if not overlap or np.count_nonzero(mask) < 0.5 * np.count_nonzero(proposal.logits > 0):
            return Verdict("ended", "nothing found", 0.0, 0.0)
        near = np.zeros(plane.shape, bool)
        row0, col0, row1, col1 = region
        near[row0:row1, col0:col1] = before
        joined = mask & ~grown(near, 2)
        self.last[leg] = (proposal.region, mask)
        status = "doubtful" if plane.index in self.doubtful else "ok"
        return Verdict(status, "", 0.8, overlap, joined if joined.any() else None)

    def start_branch(self, plane, leg, region, mask):
        self.last[leg] = (region, mask)

    def forget(self, leg):
        self.last.pop(leg, None)


def grown(mask, by):
    out = mask.copy()
    for row, col in np.argwhere(mask):
        out[max(0, row - by) : row + by + 1, max(0, col - by) : col + by + 1] = True
    return out


def bright(*bars, planes=16):
    """A stack of 40x60 in which each (first plane, last plane, first column, last column) glows."""
    volume = np.zeros((planes, 40, 60), np.uint8)
    for first, last, left, right in bars:
        volume[first : last + 1, 16:24, left:right] = 200
    return volume


JOINS = bright((0, 15, 4, 14), (3, 15, 24, 34), (10, 15, 14, 24))
"""Two bars; the right one begins on plane 3, and from plane 10 on they are one."""


def run(volume, seeds=None, strategy=None, **keywords):
    options = keywords.pop("options", {})
    seeds = [Seed(1, 5, prompt=CLICK)] if seeds is None else seeds
    return propagate(
        None,
        volume,
        seeds,
        options=PropagateOptions(**{"branches": True, **options}),
        strategy=strategy or FollowBright(),
        **keywords,
    )


@pytest.mark.parametrize(("components", "both"), [("overlapping", True), ("largest", False)])
def test_an_object_that_splits_is_carried_in_both_branches(components, both):
    volume = JOINS[::-1]
    result = run(volume, [Seed(1, 3, prompt=CLICK)], FollowBright(components))
    assert ((result.labels > 0) == (volume > 0)).all() == both
    assert (result.labels[6, 20, [8, 28]] == 1).tolist() == [True, both]


@pytest.mark.parametrize("turned", [False, True])
def test_a_branch_that_joins_is_followed_back_to_where_it_comes_from(turned):
    """On the way forward as on the way backward."""
    volume = JOINS[::-1] if turned else JOINS
    seeds = [Seed(1, 10 if turned else 5, prompt=CLICK)]
    with_them, without = run(volume, seeds), run(volume, seeds, options={"branches": False})
    np.testing.assert_array_equal(with_them.labels > 0, volume > 0)
    apart = volume[:, 20, 18] == 0
    assert not without.labels[apart][:, :, 24:34].any()
    np.testing.assert_array_equal(without.labels[~apart], with_them.labels[~apart])


def test_a_branch_of_a_branch_is_followed_too_but_not_for_ever():
    """Down the second bar, up the third, down the fourth: three turns, and no fourth."""
    volume = bright(
        (0, 19, 2, 8), (2, 19, 12, 18), (2, 17, 22, 28), (2, 17, 32, 38), (2, 19, 42, 48),
        (2, 19, 52, 58), (16, 19, 8, 12), (2, 3, 18, 22), (16, 17, 28, 32), (2, 3, 38, 42),
        (16, 19, 48, 52), planes=20,
    )  # fmt: skip
    labels = run(volume, [Seed(1, 8, prompt=Prompt(points=[(20, 4)]))]).labels
    assert labels[10, 20].reshape(6, 10).any(axis=1).tolist() == [True] * 4 + [False] * 2


def test_the_table_has_one_row_for_an_object_and_plane_and_it_tells_of_the_whole():
    strategy = FollowBright(doubtful=(7,))
    result = run(JOINS, strategy=strategy)
    table = result.table.set_index("plane")
    assert table.index.is_unique
    for plane, row in table.iterrows():
        assert row.area == np.count_nonzero(result.labels[plane])
    assert table.status.to_dict() == {
        p: {5: "anchor", 7: "doubtful"}.get(p, "ok") for p in range(16)
    }
    assert table.direction[8] == "backward"  # the way it was visited last
    assert table.direction[12] == "forward"


def test_steps_hand_back_the_whole_object_and_progress_counts_the_branches():
    class Told(NullProgress):
        started, advanced = [], 0

        def start(self, total, description):
            self.started.append((total, description))

        def advance(self, n=1):
            self.advanced += n

    progress = Told()
    steps = list(
        iter_propagate(
            None,
            JOINS,
            [Seed(1, 5, prompt=CLICK)],
            options=PropagateOptions(branches=True),
            strategy=FollowBright(),
            progress=progress,
        )
    )
    assert progress.started == [(16, "propagate"), (10, "follow branches")]
    assert [step.done for step in steps] == list(range(1, len(steps) + 1))
    assert all(step.done <= step.total for step in steps)
    assert progress.advanced == steps[-1].total == 26
    last = {step.plane: step.results[0] for step in steps}
    for plane, result in last.items():
        row0, col0, row1, col1 = result.region
        shown = np.zeros(JOINS.shape[1:], bool)
        shown[row0:row1, col0:col1] = result.mask
        np.testing.assert_array_equal(shown, JOINS[plane] > 0, err_msg=f"plane {plane}")


@pytest.mark.parametrize(
    ("keywords", "reached"),
    [
        ({"options": {"first_plane": 5}}, range(5, 10)),
        ({"seeds": [Seed(1, 7, prompt=CLICK), Seed(1, 4, ends=True)]}, range(5, 10)),
        (
            {"seeds": [Seed(1, 6, prompt=CLICK)], "options": {"direction": "forward"}},
            range(6, 10),
        ),
        ({"seeds": [Seed(1, 6, mask=JOINS[0] > 0)]}, range(7, 10)),
    ],
)
def test_range_end_marks_direction_and_drawn_masks_stop_a_branch(keywords, reached):
    labels = run(JOINS, **keywords).labels
    planes = np.flatnonzero(labels[:10, 20, 28] == 1).tolist()
    assert planes == list(reached)


def test_a_branch_takes_no_pixels_of_others():
    labels = np.zeros(JOINS.shape, np.uint8)
    labels[:8, 16:19, 24:34] = 7
    before = labels.copy()
    run(JOINS, labels=labels)
    np.testing.assert_array_equal(labels == 7, before == 7)
    assert (labels[5, 19:24, 24:34] == 1).all()


def test_two_objects_follow_their_branches_together():
    volume = np.concatenate([JOINS, JOINS], axis=1)
    seeds = [Seed(1, 5, prompt=CLICK), Seed(2, 7, prompt=Prompt(points=[(60, 8)]))]
    labels = run(volume, seeds).labels
    np.testing.assert_array_equal(labels[:, :40], (JOINS > 0).astype(np.uint8))
    np.testing.assert_array_equal(labels[:, 40:], 2 * (JOINS > 0).astype(np.uint8))


def test_an_earlier_result_is_replaced_on_the_planes_that_only_a_branch_reaches():
    volume = bright((4, 15, 4, 14), (1, 15, 24, 34), (10, 15, 14, 24))
    labels = np.zeros(volume.shape, np.uint8)
    labels[:, 2:5, 2:5] = 1
    run(volume, labels=labels)
    np.testing.assert_array_equal(labels > 0, volume > 0)


def test_a_correction_follows_branches_within_its_range_only():
    seeds = [Seed(1, p, prompt=CLICK) for p in (1, 8, 14)]
    labels = run(JOINS, seeds, options={"branches": False}).labels
    before = labels.copy()
    result = run(JOINS, seeds, labels=labels, corrected=[(1, 8)])
    assert sorted(set(result.table.plane)) == list(range(2, 14))
    assert np.flatnonzero((labels != before).any(axis=(1, 2))).tolist() == list(range(3, 10))


def test_a_branch_is_not_believed_where_its_first_plane_is_doubtful():
    labels = run(JOINS, strategy=FollowBright(doubtful=(9,))).labels
    assert not labels[:10, 20, 28].any()


def test_a_strategy_that_cannot_follow_branches_is_refused():
    class Plain(FollowBright):
        start_branch = None

    with pytest.raises(TypeError, match=r"Plain.*start_branch"):
        run(JOINS, strategy=Plain())
    assert run(JOINS, strategy=Plain(), options={"branches": False}).labels.any()


def test_a_moving_rim_is_no_branch():
    """Nor is a piece that is long and narrow."""
    volume = bright((0, 15, 4, 14))
    volume[8:, 16:24, 14:16] = 200
    volume[8:, 16:17, 4:40] = 200
    result = run(volume)
    assert len(result.table) == 16
    assert result.table.direction[8] == "forward"


def result_of(plane, left, right):
    mask = np.zeros((40, 60), bool)
    mask[16:24, left:right] = True
    region, inside = tighten((0, 0, 40, 60), mask)
    return PlaneResult(1, plane, region, inside, "ok", "", 0.8, 0.9, 0.9)


def test_a_part_that_grows_over_several_planes_sets_out_when_it_is_all_there():
    schedule = make_schedule([Seed(1, 2, prompt=CLICK)], 20, PropagateOptions())
    (leg,) = (leg for leg in schedule.legs if leg.direction == 1)
    branches = Branches(schedule, PropagateOptions(branches=True))
    steps = [(5, 14), (6, 18), (7, 22), (8, 26), (9, 27)]
    started = []
    for plane, right in steps:
        result = result_of(plane, 4, right)
        joined = np.zeros_like(result.mask)
        joined[:, -2:] = plane == 6
        found = branches.watch(leg, result, joined if joined.any() else None)
        started.append(len(found))
    assert started == [0, 0, 0, 0, 1]
    ((way, region, mask),) = found
    assert (way.anchor, way.direction, way.last, way.branch) == (6, -1, 0, 1)
    assert region == (16, 16, 24, 27)
    assert mask.all()
    assert branches.take() == [way]
    assert branches.take() == []


def test_a_part_is_forgotten_where_its_object_ends():
    schedule = make_schedule([Seed(1, 2, prompt=CLICK)], 20, PropagateOptions())
    leg = schedule.legs[0]
    branches = Branches(schedule, PropagateOptions(branches=True))
    result = result_of(5, 4, 20)
    assert branches.watch(leg, result, np.asarray(result.mask)) == []
    ended = PlaneResult(1, 6, None, np.zeros((0, 0), bool), "ended", "", 0.0, 0.0, 0.0)
    assert branches.watch(leg, ended, None) == []
    assert branches.watch(leg, result_of(7, 4, 20), None) == []


def test_a_branch_that_is_not_found_says_so_only_where_nothing_else_is_said():
    branches = Branches(
        make_schedule([Seed(1, 2, prompt=CLICK)], 9, PropagateOptions()), PropagateOptions()
    )
    branches.note([result_of(5, 4, 14)])
    for plane, rows in [(5, 0), (6, 1)]:
        ended = PlaneResult(1, plane, None, np.zeros((0, 0), bool), "ended", "x", 0.0, 0.0, 0.0)
        page = Page(plane, np.zeros((40, 60), np.uint8))
        assert len(branches.unite(page, [ended])) == rows


def test_how_far_a_rim_may_move_grows_with_the_distance_between_planes():
    reach = [rim_reach(PropagateOptions(spacing=(depth, 1, 1))) for depth in (0.5, 1, 10)]
    assert reach == [2, 2, 11]


class Pixels:
    """A frame in which the model sees the pixels as they are."""

    pixels_per_logit = 1.0
    mask_size = 256

    def __init__(self, shape):
        self.shape = shape

    def mask_to_logits(self, mask, region):
        return np.zeros(self.shape, np.float32)

    def upsample(self, logits, region):
        row0, col0, row1, col1 = region
        return logits[..., row0:row1, col0:col1]


class SeesBright:
    """A predictor whose model finds each connected thing that is bright, however it is asked."""

    def encode(self, pixels, **keywords):
        self.bright = pixels > 100
        return Embedding({}, Pixels(pixels.shape), "bright")

    def predict_many(self, embedding, prompts, **keywords):
        things, count = ndimage.label(self.bright)
        masks = things == np.arange(1, count + 1)[:, None, None]
        logits = np.where(masks, 10.0, -10.0).astype(np.float32)
        return [Prediction(logits, np.full(count, 0.95), embedding.frame) for _ in prompts]


def test_the_default_strategy_follows_what_its_model_sees_to_join():
    """It looks only a little way around an object, so that the branch grows for some planes."""
    volume, found = np.zeros((20, 40, 120), np.uint8), {}
    volume[:, 10:30, 10:70] = volume[:, 10:30, 76:90] = volume[8:, 10:30, 70:76] = 200
    seed = Seed(1, 2, mask=volume[0] * (np.arange(120) < 70) > 0)
    # Grain that stays where it is, for the flow to hold on to.
    volume += np.random.default_rng(0).integers(0, 50, (40, 120), np.uint8)
    for branches in (False, True):
        options = PropagateOptions(branches=branches, spacing=(3, 1, 1))
        found[branches] = propagate(SeesBright(), volume, [seed], options=options).labels > 0
    body, branch = np.s_[:, 10:30, 10:70], np.s_[:8, 10:30, 76:90]
    assert found[False][body].mean() > 0.99
    assert not found[False][branch].any()
    # It stops before the mask that the user gave.
    assert found[True][branch].mean(axis=(1, 2)) == pytest.approx([0] * 3 + [1] * 5, abs=0.1)
    np.testing.assert_array_equal(found[True][8:], found[False][8:])
    np.testing.assert_array_equal(found[True][body], found[False][body])
