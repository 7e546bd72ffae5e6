import numpy as np
from PIL import Image

from vlm_eval.core.types import ImageRef
from vlm_eval.data.pairs.composite import compose, side_by_side


def test_both_images_stand_side_by_side_below_their_numbers():
    page = compose(Image.new("RGB", (60, 100), "red"), Image.new("RGB", (80, 100), "blue"))
    assert page.size == (60 + 5 + 80, 12 + 100)
    pixels = np.asarray(page)
    assert (pixels[12:, :60] == (255, 0, 0)).all()
    assert (pixels[:, 60:65] == 255).all()
    assert (pixels[12:, 65:] == (0, 0, 255)).all()
    strip = pixels[:12].min(axis=(0, 2)) < 128  # columns with ink
    assert strip[20:40].any()
    assert strip[95:115].any()
    assert not np.concatenate([strip[:20], strip[40:95], strip[115:]]).any()
    one, two = pixels[:12, 25:35], pixels[:12, 100:110]
    assert (one != two).any()


def test_the_smaller_image_gets_the_height_of_the_larger():
    page = compose(Image.new("RGB", (30, 20), "red"), Image.new("RGB", (50, 200), "blue"))
    assert page.size == (300 + 10 + 50, 20 + 200)


def test_the_reference_is_lazy_and_knows_the_order():
    loaded = []

    def ref(colour):
        def load():
            loaded.append(colour)
            return Image.new("RGB", (40, 40), colour)

        return ImageRef(colour, load, colour)

    red, blue = ref("red"), ref("blue")
    there, back = side_by_side(red, blue), side_by_side(blue, red)
    assert there.key != back.key
    assert not loaded
    assert there.load().getpixel((0, 30)) == (255, 0, 0)
    assert back.load().getpixel((0, 30)) == (0, 0, 255)
