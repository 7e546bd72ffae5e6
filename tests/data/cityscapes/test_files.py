import io
import json

import numpy as np
import pytest
from PIL import Image

from vlm_eval.core.errors import DataError
from vlm_eval.data.cityscapes.files import decode_label_map, draw_polygons, read_bytes

BOX = [[0, 0], [3, 0], [3, 3], [0, 3]]


def png(image):
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def polygons(*objects, size=(4, 4)):
    return json.dumps(
        {"imgWidth": size[0], "imgHeight": size[1], "objects": list(objects)}
    ).encode()


def test_the_polygons_of_the_mini_tree_draw_its_label_maps(mini):
    folder = mini / "gtFine" / "val" / "testcity"
    for path in sorted(folder.glob("*_polygons.json")):
        drawn = draw_polygons(read_bytes(path), path.name)
        stored = path.with_name(path.name.replace("polygons.json", "labelIds.png"))
        assert np.array_equal(drawn, decode_label_map(read_bytes(stored), "map"))


def test_later_objects_cover_earlier_ones_and_traps_are_not_drawn():
    data = polygons(
        {"label": "road", "polygon": BOX},
        {"label": "cargroup", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]},
        {"label": "license plate", "polygon": BOX},
        {"label": "bus", "polygon": BOX, "deleted": 1},
    )
    assert draw_polygons(data, "f").tolist() == [
        [26, 26, 7, 7], [26, 26, 7, 7], [7, 7, 7, 7], [7, 7, 7, 7],
    ]  # fmt: skip


def test_what_nothing_covers_is_unlabeled():
    assert draw_polygons(polygons(), "f").tolist() == [[0] * 4] * 4


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"{", "not a polygons file"),
        (b"[]", "not a polygons file"),
        (b'{"imgWidth": 4, "imgHeight": 0, "objects": []}', "its size is 4 x 0"),
        (b'{"imgWidth": 4, "imgHeight": 1e9, "objects": []}', "its size is"),
        (b'{"imgWidth": 99999999, "imgHeight": 99999999, "objects": []}', "its size is"),
        (b'{"imgWidth": 4, "imgHeight": 4, "objects": {}}', "no list"),
        (polygons({"polygon": BOX}), "object 0: an object without a label"),
        (polygons({"label": "cra", "polygon": BOX}), "unknown label 'cra'; did you mean car"),
        (polygons({"label": "car", "polygon": [[1, 2], [3]]}), "object 0: its polygon"),
        (polygons({"label": "car"}), "object 0: its polygon"),
        (polygons({"label": "car", "polygon": [[1, 1]]}), "object 0: its polygon"),
    ],
)
def test_a_broken_polygons_file_names_its_fault(data, words):
    with pytest.raises(DataError, match=words):
        draw_polygons(data, "f")


def test_palette_grey_and_grey_colour_pictures_are_maps():
    values = np.array([[0, 7], [26, 33]], dtype=np.uint8)
    palette = Image.fromarray(values, "P")
    palette.putpalette([*range(256)] * 3)
    for image in (
        Image.fromarray(values),
        palette,
        Image.fromarray(values.astype(np.uint16)),
        Image.fromarray(np.repeat(values[..., None], 3, axis=2)),
    ):
        assert np.array_equal(decode_label_map(png(image), "f"), values)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a readable PNG"),
        (b"GIF89a", "not a readable PNG"),
        (png(Image.new("RGB", (2, 2), (128, 64, 128))), "a colour picture"),
        (png(Image.fromarray(np.array([[26_001]], dtype=np.uint16))), "instanceIds"),
        (png(Image.new("1", (2, 2))), "not a map of class numbers"),
        (png(Image.new("L", (300, 300), 7))[:-40], "not a readable PNG"),
    ],
)
def test_what_is_no_label_map_is_refused(data, words):
    with pytest.raises(DataError, match=words):
        decode_label_map(data, "f")
