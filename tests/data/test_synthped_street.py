"""Street scenes: everybody's truth agrees with the picture, with everybody else's and with the official mask tools."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clasp_bench.data.synthped import street
from clasp_bench.data.synthped.body import BodyModel
from clasp_bench.data.synthped.figure import Tailor
from clasp_bench.data.synthped.masks import encode_mask, extents

coco = pytest.importorskip("pycocotools.mask")

SEED, BLOCK = 5, 1
SIZE = (360, 640)


@pytest.fixture(scope="module")
def tailor() -> Tailor:
    return Tailor(BodyModel())


@pytest.fixture(scope="module")
def scenes(tailor) -> list[street.Scene]:
    return street.photograph_block(tailor, SEED, BLOCK, SIZE)


def pixels(code: dict) -> np.ndarray:
    return coco.decode(code | {"counts": code["counts"].encode()}).astype(bool)


@settings(max_examples=80, derandomize=True)
@given(rows=st.integers(1, 60), columns=st.integers(1, 60), seed=st.integers(0, 999), share=st.floats(0, 1))
def test_a_mask_comes_back_from_its_code_and_fills_its_box(rows, columns, seed, share):
    mask = np.random.default_rng(seed).random((rows, columns)) < share
    assert (pixels(encode_mask(mask)) == mask).all()
    assert extents(mask) == coco.toBbox(coco.encode(np.asfortranarray(mask, np.uint8))).tolist()


def test_a_block_is_ten_scenes_of_one_to_thirty_people_of_its_own_cast(scenes):
    assert len(scenes) == street.SCENES_IN_BLOCK == 10
    first = street.STREET_FIRST + BLOCK * street.CAST
    for scene in scenes:
        numbers = [seen.person for seen in scene.people]
        assert 0 < len(numbers) <= street.MOST and len(set(numbers)) == len(numbers)
        assert all(first <= number < first + street.CAST for number in numbers)
        assert scene.rgb.shape == (*SIZE, 3) and scene.size == SIZE and scene.jpeg[:2] == b"\xff\xd8"
    assert len({scene.camera for scene in scenes}) == 1 and len({scene.jpeg for scene in scenes}) == 10
    heights = [seen.full_box[3] for scene in scenes for seen in scene.people]
    assert min(heights) < 50 and max(heights) > 150 and min(heights) > 10


def test_no_pixel_has_two_owners_and_boxes_are_the_masks_extents(scenes):
    for scene in scenes:
        masks = [pixels(seen.mask) for seen in scene.people] + [pixels(mask) for _, mask in scene.crowds]
        assert np.sum(masks, axis=0).max() <= 1
        for box, mask in zip(
            [seen.box for seen in scene.people] + [box for box, _ in scene.crowds], masks, strict=True
        ):
            assert mask.shape == SIZE and tuple(box) == tuple(coco.toBbox(coco.encode(np.asfortranarray(mask))))
        for seen in scene.people:
            x, y, w, h = seen.full_box
            vx, vy, vw, vh = seen.box
            assert min(vx - x, vy - y, x + w - vx - vw, y + h - vy - vh) > -0.8  # half a pixel is enough
            hx, hy, hw, hh = seen.head_box
            assert hx >= x - 0.1 and hy >= y - 0.1 and hx + hw <= x + w + 0.1 and hy + hh < y + 0.6 * h


def test_who_is_small_or_hidden_is_not_asked_of_a_detector(scenes):
    people = [seen for scene in scenes for seen in scene.people]
    for seen in people:
        assert 0 <= seen.occlusion < 1 and 0 <= seen.truncation < 1
        assert seen.ignore == (seen.full_box[3] < 20 or seen.occlusion > 0.9)
    hidden = np.array([seen.occlusion for seen in people])
    assert (hidden == 0).any() and ((hidden > 0.1) & (hidden < 0.9)).any()


def test_occlusion_and_masks_are_those_of_the_person_rendered_alone(tailor):
    """Takes a scene apart: its people put alone into the same street show what the others hid of them."""
    from clasp_bench.data.synthped.camera import draw_cameras
    from clasp_bench.data.synthped.seeds import stream

    rng = stream(SEED, "test")
    scenery = street._Street(SEED, draw_cameras(SEED)[2], SIZE, rng)
    cast = street.draw_cast(tailor, SEED, 3, 4)
    spots = [
        street._Spot(-0.2, 7.0, 0.3),
        street._Spot(0.2, 8.0, 1.0),
        street._Spot(0.0, 9.2, 2.0),
        street._Spot(0.5, 6.0, -1.0),
    ]
    together = street._take(scenery, cast, spots, [], stream(SEED, "sensor"))
    assert len(together.people) >= 3 and any(seen.occlusion > 0.1 for seen in together.people)
    for actor, spot in zip(cast, spots, strict=True):
        alone = street._take(scenery, [actor], [spot], [], stream(SEED, "sensor"))
        again = street._take(scenery, [actor], [spot], [], stream(SEED, "sensor"))
        assert alone.jpeg == again.jpeg and alone.people[0].mask == again.people[0].mask
        found = [seen for seen in together.people if seen.person == actor.number]
        if not found:
            continue
        whole, part = pixels(alone.people[0].mask), pixels(found[0].mask)
        assert not (part & ~whole).any()
        if alone.people[0].occlusion == 0:
            assert found[0].occlusion == pytest.approx(1 - part.sum() / whole.sum())
        assert np.allclose(found[0].full_box, alone.people[0].full_box)
        assert (found[0].keypoints[:, 2] <= alone.people[0].keypoints[:, 2]).all()


def test_visible_joints_lie_on_the_persons_own_pixels(scenes):
    on_mask, joints = 0, 0
    for scene in scenes:
        for seen in scene.people:
            mask = pixels(seen.mask)
            grown = mask.copy()
            for shift in (-1, 1):  # the person's edge may own less than half of a pixel
                grown |= np.roll(mask, shift, 0) | np.roll(mask, shift, 1)
            for x, y, v in seen.keypoints:
                if v == 0:
                    assert x == y == 0
                    continue
                assert 0 <= x < SIZE[1] and 0 <= y < SIZE[0]
                if v == 2:
                    joints += 1
                    on_mask += grown[int(y), int(x)]
    assert joints > 200 and on_mask / joints > 0.97


def test_the_same_seed_gives_the_same_bytes(tailor, scenes):
    again = street.photograph_block(tailor, SEED, BLOCK, SIZE)
    assert [scene.jpeg for scene in again] == [scene.jpeg for scene in scenes]
    for first, second in zip(scenes, again, strict=True):
        assert [s.mask for s in first.people] == [s.mask for s in second.people] and first.crowds == second.crowds
        assert all((a.keypoints == b.keypoints).all() for a, b in zip(first.people, second.people, strict=True))
