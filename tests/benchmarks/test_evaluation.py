"""The scores that propagation is judged by."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def ev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("evaluation", BENCHMARKS / "evaluation.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def blocks(depth: int = 12) -> np.ndarray:
    labels = np.zeros((depth, 40, 40), np.int64)
    labels[2:9, 5:15, 5:15] = 1  # 700 voxels on 7 planes
    labels[0:6, 20:30, 20:32] = 2  # 720 voxels on 6 planes
    labels[4:7, 0:4, 30:40] = 3  # 3 planes: too few
    labels[4:9, 35:40, 0:5] = 4  # 125 voxels: too few
    return labels


def test_only_objects_within_the_limits_count(ev):
    assert [t.object_id for t in ev.find_targets(blocks())] == [1, 2]
    limit = 710 / blocks().size
    assert [t.object_id for t in ev.find_targets(blocks(), max_share=limit)] == [1]


def test_an_object_is_anchored_on_its_middle_plane_with_a_half_open_box(ev):
    first, second = ev.find_targets(blocks())
    assert (first.anchor, first.boxes[5]) == (5, (5, 5, 15, 15))
    assert (second.first, second.last, second.anchor) == (0, 5, 2)


def test_an_object_absent_from_its_middle_plane_is_anchored_on_the_nearest(ev):
    labels = blocks()
    labels[4:7, 5:15, 5:15] = 0
    target = ev.find_targets(labels)[0]
    assert target.anchor == 3
    assert sorted(target.boxes) == [2, 3, 7, 8]


def test_planes_without_labels_do_not_count(ev):
    """Sizes, middle planes and scores are those of the labelled planes."""
    labels = blocks()
    planes = range(4, 9)
    target = ev.find_targets(labels, planes)[0]
    assert (target.voxels, target.first, target.last, target.anchor) == (500, 4, 8, 6)
    found = np.where(labels == 1, 1, 0)
    found[:4] = 1  # outside the labelled planes, so neither right nor wrong
    scores = ev.score(ev.count_labels(labels, found, [target], planes), [target], planes)
    assert scores["iou"].tolist() == [1.0]
    assert scores["invented"].tolist() == [0]


def test_the_score_is_the_iou_over_all_voxels(ev):
    labels, planes = blocks(), range(12)
    targets = ev.find_targets(labels)
    found = np.zeros_like(labels)
    found[2:9, 5:15, 5:10] = 1  # half of it
    found[0:6, 20:30, 20:32] = 2
    found[0:6, 0:3, 0:20] = 2  # and 360 voxels too many
    scores = ev.score(ev.count_labels(labels, found, targets, planes), targets, planes)
    assert scores["iou"].tolist() == pytest.approx([0.5, 720 / 1080])
    assert scores["anchor_iou"].tolist() == pytest.approx([0.5, 120 / 180])
    summary = ev.summarise(scores)
    assert summary["iou"] == pytest.approx((0.5 + 720 / 1080) / 2)
    assert (summary["share_50"], summary["share_75"]) == (1.0, 0.0)


def test_missed_and_invented_planes_are_counted_at_both_ends(ev):
    labels, planes = blocks(), range(12)
    targets = ev.find_targets(labels)
    found = np.zeros_like(labels)
    found[4:12, 5:15, 5:15] = 1  # begins 2 planes late, ends 3 planes late
    scores = ev.score(ev.count_labels(labels, found, targets, planes), targets, planes)
    assert scores["missed"].tolist() == [2, 6]  # object 2 was not found at all
    assert scores["invented"].tolist() == [3, 0]
    assert scores["iou"].tolist() == pytest.approx([500 / 1000, 0])
    assert scores["iou_between_ends"].tolist() == pytest.approx([500 / 700, 0])


def test_masks_may_overlap_where_labels_cannot(ev):
    labels, planes = blocks(), range(12)
    targets = ev.find_targets(labels)
    both = labels > 0
    masks = [(i, p, both[p]) for i, t in enumerate(targets) for p in t.boxes]
    counts = ev.count_masks(labels, masks, targets, planes)
    assert counts.shared.sum(axis=1).tolist() == [700, 720]
    assert counts.found[0].sum() == np.count_nonzero(both[2:9])


def test_a_sample_is_repeatable_and_keeps_the_order(ev):
    targets = ev.find_targets(blocks())
    many = targets * 20
    few = ev.sample(many, 5, seed=3)
    assert few == ev.sample(many, 5, seed=3)
    assert len(few) == 5
    assert ev.sample(targets, None, seed=0) == targets
