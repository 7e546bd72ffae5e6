from PIL import Image

from vlm_eval.core.types import ImageRef, Message, Picture, Request, Text, condition_key


def ref(key):
    return ImageRef(key, lambda: Image.new("RGB", (1, 1)), key)


def test_condition_keys_keep_the_declared_order():
    assert condition_key({"rule": "inverse", "blur": 5}) == "rule=inverse,blur=5"
    assert condition_key({}) == ""


def test_a_requests_images_come_in_the_order_the_model_sees_them():
    turns = (
        Message("system", (Text("s"),)),
        Message("user", (Picture(ref("b")), Text("t"), Picture(ref("a")))),
    )
    assert [image.key for image in Request("id", turns).images] == ["b", "a"]


def test_images_are_equal_by_key_alone():
    assert ref("x") == ImageRef("x", lambda: Image.new("RGB", (9, 9)), "another label")
    assert ref("x") != ref("y")
