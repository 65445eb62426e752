"""The driver: schedule, competition, labels, table. It is tested without a model."""

import dask.array as da
import numpy as np
import pytest
import zarr

from samslice.engine.label_store import labels_dtype
from samslice.engine.options import PropagateOptions
from samslice.engine.progress import Cancel, NullProgress
from samslice.engine.propagate import iter_propagate, propagate
from samslice.engine.strategy import Proposal, Verdict
from samslice.engine.types import Prompt, Seed


class FollowBrightness:
    """Objects are the bright pixels near where they were; a strategy that needs no model."""

    def __init__(self):
        self.before = {}
        self.forgotten = []

    def propose(self, plane, anchors, legs):
        bright = plane.pixels.reshape(*plane.shape, -1)[..., 0] > 0
        found = []
        for seed in anchors:
            if seed.mask is None:
                row, col = seed.prompt.points[0].astype(int)
            else:
                row, col = np.argwhere(seed.mask).mean(axis=0).astype(int)
            found.append(self._window(seed.object_id, bright, (row, col)))
        for leg in legs:
            centre = self.before.get(leg) or self.before[leg.object_id, leg.anchor]
            found.append(self._window(leg.object_id, bright, centre))
        return found

    def _window(self, object_id, bright, centre):
        row0, col0 = (max(0, c - 4) for c in centre)
        part = bright[row0 : row0 + 9, col0 : col0 + 9]
        region = (row0, col0, row0 + part.shape[0], col0 + part.shape[1])
        return Proposal(object_id, region, np.where(part, 1.0, -1.0).astype(np.float32), 0.9)

    def settle_anchor(self, plane, proposal, mask):
        self.before[proposal.object_id, plane.index] = self._centre(proposal, mask)
        return Verdict("anchor", "", 0.9, float("nan"))

    def settle(self, plane, leg, proposal, mask):
        if not mask.any():
            return Verdict("ended", "nothing found", 0.0, 0.0)
        self.before[leg] = self._centre(proposal, mask)
        return Verdict("ok", "", 0.8, 1.0)

    def _centre(self, proposal, mask):
        rows, cols = np.nonzero(mask)
        return int(rows.mean()) + proposal.region[0], int(cols.mean()) + proposal.region[1]

    def forget(self, leg):
        self.forgotten.append(leg)


class Counted:
    """A volume that knows which planes were read."""

    def __init__(self, volume):
        self.volume, self.read = volume, []
        self.shape, self.dtype = volume.shape, volume.dtype

    def __getitem__(self, index):
        assert isinstance(index, int)
        self.read.append(index)
        return self.volume[index]


@pytest.fixture
def stack():
    """Two bright squares: one on planes 2 to 9 that drifts, one on planes 0 to 11."""
    volume = np.zeros((12, 40, 40), np.uint8)
    for plane in range(2, 10):
        volume[plane, 5 + plane : 9 + plane, 6:10] = 200
    volume[:, 20:25, 28:33] = 100
    return volume


SEEDS = [
    Seed(1, 5, prompt=Prompt(points=[(11, 7)])),
    Seed(2, 6, prompt=Prompt(points=[(22, 30)])),
]


def run(volume, seeds=SEEDS, **keywords):
    keywords.setdefault("strategy", FollowBrightness())
    return propagate(None, volume, seeds, **keywords)


def test_objects_are_carried_both_ways_to_their_ends(stack):
    result = run(stack)
    assert result.labels.dtype == np.uint8
    expected = np.where(stack == 200, 1, np.where(stack == 100, 2, 0))
    np.testing.assert_array_equal(result.labels, expected)


def test_the_table_has_a_row_for_every_look_with_the_reason_of_the_end(stack):
    table = run(stack).table
    assert len(table) == len(table.drop_duplicates(["object", "plane"]))
    one = table[table["object"] == 1].set_index("plane")
    assert one.index.tolist() == list(range(1, 11))
    assert one.loc[5, "status"] == "anchor"
    assert one.loc[[1, 10], "status"].tolist() == ["ended", "ended"]
    assert one.loc[10, "reason"] == "nothing found"
    assert one.loc[5, "area"] == 16
    assert np.isnan(one.loc[5, "overlap"])


def test_one_plane_is_read_at_a_time_and_none_that_is_not_needed(stack):
    lazy = Counted(stack)
    run(lazy, SEEDS[:1])
    assert sorted(lazy.read) == list(range(1, 11))


@pytest.mark.parametrize("kind", ["dask", "zarr", "memmap"])
def test_lazy_volumes_and_labels_on_disk(stack, kind, tmp_path):
    expected = run(stack).labels
    if kind == "dask":
        volume = da.from_array(stack, chunks=(1, 40, 40))
    elif kind == "zarr":
        volume = zarr.create_array(tmp_path / "v.zarr", data=stack, chunks=(1, 40, 40))
    else:
        volume = np.memmap(tmp_path / "v.raw", stack.dtype, "w+", shape=stack.shape)
        volume[:] = stack
    labels = zarr.create_array(
        tmp_path / "l.zarr", shape=stack.shape, dtype="uint16", chunks=(1, 40, 40)
    )
    result = run(volume, labels=labels)
    assert result.labels is labels
    np.testing.assert_array_equal(labels[:], expected)


def test_rgb_stacks_are_planes_of_colour(stack):
    rgb = np.repeat(stack[..., None], 3, axis=3)
    np.testing.assert_array_equal(run(rgb).labels, run(stack).labels)


def test_finished_objects_keep_their_pixels(stack):
    labels = np.zeros(stack.shape, np.uint16)
    labels[:, 20:23] = 7
    before = labels.copy()
    run(stack, labels=labels)
    np.testing.assert_array_equal(labels == 7, before == 7)
    assert (labels == 2).any()


def test_where_two_objects_claim_the_same_the_nearer_to_its_anchor_has_it(stack):
    """Whichever sweep came first; of two as near, that which stands there already."""
    seeds = [
        Seed(1, 1, prompt=Prompt(points=[(22, 30)])),
        Seed(2, 10, prompt=Prompt(points=[(22, 30)])),
    ]
    result = run(stack, seeds)
    labels, table = result.labels, result.table.set_index(["object", "plane"])
    assert (labels[1:6, 20:25, 28:33] == 1).all()
    assert (labels[6:11, 20:25, 28:33] == 2).all()
    for (object_id, plane), row in table.iterrows():
        assert row["area"] == np.count_nonzero(labels[plane] == object_id)
    assert set(table.loc[1].loc[6:9].reason) == {"lost to a neighbour"}


def test_of_objects_as_near_to_their_anchors_that_which_stands_there_stays(stack):
    seeds = [Seed(o, p, prompt=Prompt(points=[(22, 30)])) for o, p in ((1, 1), (2, 9))]
    labels = run(stack, seeds).labels
    assert (labels[1:6, 20:25, 28:33] == 1).all()
    assert (labels[6:10, 20:25, 28:33] == 2).all()


def test_an_anchor_outranks_what_has_travelled_to_its_plane(stack):
    seeds = [
        Seed(1, 1, prompt=Prompt(points=[(22, 30)])),
        Seed(2, 4, prompt=Prompt(points=[(22, 30)])),
    ]
    labels = run(stack, seeds).labels
    assert (labels[3:5, 20:25, 28:33] == 2).all()
    assert (labels[2, 20:25, 28:33] == 1).all()


def test_propagating_again_replaces_the_earlier_result(stack):
    """Also beyond the new end: nothing of the old object is left behind."""
    labels = np.zeros(stack.shape, np.uint8)
    labels[:, 2:5, 2:5] = 1
    run(stack, labels=labels)
    np.testing.assert_array_equal(labels == 1, stack == 200)


def test_propagating_again_leaves_planes_outside_the_range(stack):
    labels = np.zeros(stack.shape, np.uint8)
    labels[:, 2:5, 2:5] = 1
    run(stack, labels=labels, options=PropagateOptions(first_plane=4, last_plane=8))
    assert (labels[[0, 1, 2, 3, 9, 10, 11], 2:5, 2:5] == 1).all()
    assert not (labels[4:9, 2:5, 2:5] == 1).any()


def test_an_end_mark_stops_the_object(stack):
    labels = run(stack, [*SEEDS, Seed(2, 8, ends=True)]).labels
    assert (labels[7] == 2).any()
    assert not (labels[8:] == 2).any()


def test_what_lies_beyond_an_end_mark_is_in_nobodys_way(stack):
    """A mask that leaked over a neighbour is taken off by the mark, and the neighbour is drawn."""
    labels = np.zeros(stack.shape, np.uint8)
    labels[7:, 20:25, 28:33] = 1
    run(stack, [*SEEDS, Seed(1, 7, ends=True)], labels=labels)
    np.testing.assert_array_equal(labels == 2, stack == 100)
    assert not (labels[7:] == 1).any()


@pytest.fixture
def anchored(stack):
    """Two objects with several anchors, and labels that were changed everywhere afterwards."""
    volume = np.concatenate([stack[:, :20], stack[:, :20], stack[:, 20:]], axis=1)
    volume[:, 5:9, 26:32] = 150
    seeds = [Seed(1, p, prompt=Prompt(points=[(7, 28)])) for p in (0, 5, 8, 11)]
    seeds += [Seed(2, p, prompt=Prompt(points=[(42, 30)])) for p in (2, 9)]
    labels = run(volume, seeds).labels
    labels[:, 5, 26:32] = 1
    labels[:, 40, 28] = 0  # so that whatever is drawn anew differs
    labels[:, 0, :3] = [1, 2, 9]
    return volume, seeds, labels


def test_a_correction_changes_nothing_but_the_planes_up_to_its_neighbours(anchored):
    volume, seeds, labels = anchored
    before = labels.copy()
    lazy = Counted(volume)
    result = run(lazy, seeds, labels=labels, corrected=[(1, 5)])
    changed = np.flatnonzero((labels != before).any(axis=(1, 2))).tolist()
    assert changed == [1, 2, 3, 4, 5, 6, 7]
    np.testing.assert_array_equal(labels == 2, before == 2)
    np.testing.assert_array_equal(labels == 9, before == 9)
    assert sorted(set(lazy.read)) == [0, *changed, 8]
    assert result.table.plane.tolist() == changed
    assert set(result.table.object) == {1}


@pytest.mark.parametrize("compete", [True, False])
def test_corrections_in_one_call_are_those_of_one_call_each(anchored, compete):
    volume, seeds, labels = anchored
    options = PropagateOptions(compete=compete)
    together, each = labels.copy(), labels.copy()
    corrected = [(1, 5), (2, 9), (1, 11)]
    run(volume, seeds, labels=together, corrected=corrected, options=options)
    for one in corrected:
        run(volume, seeds, labels=each, corrected=[one], options=options)
    np.testing.assert_array_equal(together, each)
    assert (together != labels).any()


def test_an_end_mark_that_came_later_takes_away_what_lies_beyond(anchored):
    """As a correction, and where everything is carried again."""
    volume, seeds, labels = anchored
    seeds.append(Seed(2, 10, ends=True))
    assert (labels[10:] == 2).any()
    before = labels.copy()
    run(volume, seeds, labels=labels, corrected=[(2, 10)])
    assert not (labels[10:] == 2).any()
    assert (labels[9] == 2).any()
    np.testing.assert_array_equal(labels[:10] == 2, before[:10] == 2)
    np.testing.assert_array_equal(labels == 1, before == 1)
    run(volume, seeds, labels=before)
    assert not (before[10:] == 2).any()


def test_a_neighbouring_anchor_is_carried_as_it_was_drawn(anchored):
    """Here it was moved by hand; the fake strategy looks where its pixels are."""
    volume, seeds, labels = anchored
    labels[0][labels[0] == 1] = 0
    labels[0, 42:45, 28:33] = 1
    labels[labels == 2] = 0
    run(volume, seeds, labels=labels, corrected=[(1, 5)])
    assert (labels[1, 40:45, 28:33] == 1).any()
    assert not (labels[3, 40:45, 28:33] == 1).any()


def test_a_neighbouring_anchor_without_pixels_is_carried_from_its_prompt(anchored):
    volume, seeds, labels = anchored
    labels[0] = 0
    run(volume, seeds, labels=labels, corrected=[(1, 5)])
    assert not labels[0].any()
    assert (labels[1, 6:9, 26:32] == 1).all()


def test_a_correction_takes_no_pixels_of_an_object_that_is_not_looked_for(anchored):
    """Object 2 is corrected too, but elsewhere: here it keeps what it has."""
    volume, seeds, labels = anchored
    seeds = [*seeds, Seed(2, 5, prompt=Prompt(points=[(42, 30)]))]
    labels[3, 7] = 2
    before = labels.copy()
    run(volume, seeds, labels=labels, corrected=[(1, 5), (2, 9)])
    np.testing.assert_array_equal(labels[3] == 2, before[3] == 2)
    assert (labels[3] != before[3]).any()


def test_a_correction_stops_at_an_end_mark_and_is_erased_where_it_ends(stack):
    labels = run(stack).labels
    labels[10:, 0, 0] = 1
    seeds = [*SEEDS, Seed(1, 4, ends=True)]
    run(stack, seeds, labels=labels, corrected=[(1, 5)])
    assert not (labels[:5] == 1).any()
    assert not (labels[10:] == 1).any()


def test_a_correction_needs_the_labels_that_it_corrects(stack):
    with pytest.raises(ValueError, match="corrected is given without labels"):
        run(stack, corrected=[(1, 5)])
    with pytest.raises(ValueError, match="object 1 is said to be corrected on plane 6"):
        run(stack, labels=np.zeros(stack.shape, np.uint8), corrected=[(1, 6)])


def check_table_counts(result):
    """The table says of every object and plane what the labels show."""
    for row in result.table.itertuples():
        assert row.area == np.count_nonzero(result.labels[row.plane] == row.object)


def test_without_competition_the_first_object_lies_on_top_and_both_go_on(stack):
    seeds = [
        Seed(1, 5, prompt=Prompt(points=[(22, 30)])),
        Seed(2, 5, prompt=Prompt(points=[(22, 30)])),
    ]
    result = run(stack, seeds, options=PropagateOptions(compete=False))
    assert (result.table[result.table.status != "ended"].groupby("plane").size() == 2).all()
    assert (result.labels[5, 20:25, 28:33] == 1).all()
    check_table_counts(result)


def test_without_competition_an_anchor_lies_above_what_has_travelled_there(stack):
    seeds = [
        Seed(1, 1, prompt=Prompt(points=[(22, 30)])),
        Seed(2, 4, prompt=Prompt(points=[(22, 30)])),
    ]
    result = run(stack, seeds, options=PropagateOptions(compete=False))
    assert (result.labels[4, 20:25, 28:33] == 2).all()
    check_table_counts(result)


class CancelAt(NullProgress):
    """Cancels once so many steps, or all of them, are done."""

    def __init__(self, cancel, step=None):
        self.cancel, self.step, self.count = cancel, step, 0

    def start(self, total, description):
        self.step = total if self.step is None else self.step

    def advance(self, n=1):
        self.count += n
        if self.count == self.step:
            self.cancel.set()


def test_cancel_keeps_what_is_done_and_says_so(stack):
    cancel = Cancel()
    progress = CancelAt(cancel, 3)
    result = run(stack, cancel=cancel, progress=progress)
    assert result.cancelled
    assert sorted(set(result.table.plane)) == [5, 6, 7]
    assert (result.labels[5:8] == 1).any(axis=(1, 2)).all()
    assert not result.labels[8:].any()


def test_a_cancel_that_comes_too_late_cancels_nothing(stack):
    cancel = Cancel()
    progress = CancelAt(cancel)
    assert not run(stack, cancel=cancel, progress=progress).cancelled
    assert cancel.is_set


def test_leaving_the_loop_keeps_what_was_handed_back(stack):
    labels = np.zeros(stack.shape, np.uint8)
    steps = iter_propagate(
        None,
        stack,
        SEEDS,
        labels=labels,
        strategy=FollowBrightness(),
    )
    first = next(steps)
    steps.close()
    assert (first.plane, first.direction, first.done) == (5, "forward", 1)
    assert sorted(np.flatnonzero(labels.any(axis=(1, 2)))) == [5]


def test_memory_of_a_leg_is_dropped_at_its_end(stack):
    strategy = FollowBrightness()
    run(stack, strategy=strategy)
    assert {(leg.object_id, leg.direction) for leg in strategy.forgotten} == {
        (1, 1),
        (1, -1),
        (2, 1),
        (2, -1),
    }


def test_errors_come_before_any_work_and_name_the_seed(stack):
    outside = [Seed(3, 5, prompt=Prompt(points=[(99, 1)]))]
    with pytest.raises(ValueError, match="object 3 on plane 5: point"):
        iter_propagate(None, stack, outside, strategy=FollowBrightness())


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"volume": np.zeros((4, 4))}, "planes, rows, columns"),
        ({"volume": np.zeros((2, 3, 4, 5))}, "planes, rows, columns"),
        ({"volume": np.zeros((0, 4, 4))}, "planes, rows, columns"),
        ({"labels": np.zeros((1, 2, 3), np.uint8)}, "the stack's"),
        ({"labels": np.zeros((12, 40, 40), np.float32)}, "float32"),
        (
            {
                "seeds": [Seed(300, 5, ends=False, prompt=SEEDS[0].prompt)],
                "labels": np.zeros((12, 40, 40), np.uint8),
            },
            "uint16",
        ),
        ({"seeds": [Seed(1, 5, mask=np.ones((3, 3), bool))]}, "object 1 on plane 5: mask"),
    ],
)
def test_bad_input_is_named(stack, keywords, words):
    with pytest.raises(ValueError, match=words):
        run(**{"volume": stack, **keywords})


@pytest.mark.parametrize(("highest", "dtype"), [(255, "u1"), (256, "u2"), (65536, "u4")])
def test_labels_dtype_is_the_smallest_that_holds_the_ids(highest, dtype):
    assert labels_dtype(highest) == np.dtype(dtype)


def test_options_of_another_kind_are_refused(stack):
    with pytest.raises(TypeError, match="options is a dict; allowed is samslice"):
        run(stack, options={"spacing": (1, 1, 1)})
