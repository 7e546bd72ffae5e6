import numpy as np

from vlm_eval.data.scenes.street import KINDS, SIZE, Street, draw_street, sample_street


def test_the_mask_shows_exactly_the_objects_of_the_scene():
    for index in range(40):
        street = sample_street(3, index)
        _, labels = draw_street(street)
        shown = set(np.unique(np.asarray(labels)))
        for name, kind in KINDS.items():
            assert (kind.label in shown) == (name in street.objects), (index, name)


def test_every_present_object_is_large_enough_to_be_seen():
    smallest = dict.fromkeys(KINDS, SIZE**2)
    for index in range(60):
        street = sample_street(4, index)
        area = np.bincount(np.asarray(draw_street(street)[1]).ravel(), minlength=256)
        for name in street.objects:
            smallest[name] = min(smallest[name], int(area[KINDS[name].label]))
    assert min(smallest.values()) > 0.003 * SIZE**2


def test_objects_differ_only_where_one_is_added():
    full = draw_street(Street(("car", "tree"), 5))[0]
    less = draw_street(Street(("car",), 5))[0]
    added = np.asarray(draw_street(Street(("car", "tree"), 5))[1]) == KINDS["tree"].label
    differs = (np.asarray(full).astype(int) != np.asarray(less)).any(-1)
    assert differs.any()
    assert differs.sum() <= added.sum() * 1.05


def test_scenes_are_a_function_of_seed_and_index_alone():
    one, two = draw_street(sample_street(1, 9)), draw_street(sample_street(1, 9))
    assert one[0].tobytes() == two[0].tobytes()
    assert one[1].tobytes() == two[1].tobytes()
    assert draw_street(sample_street(2, 9))[0].tobytes() != one[0].tobytes()


def test_presence_is_about_balanced():
    seen = [name for index in range(300) for name in sample_street(0, index).objects]
    for name in KINDS:
        assert 0.4 < seen.count(name) / 300 < 0.6
