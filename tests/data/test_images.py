import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFile

from vlm_eval.core.errors import DataError
from vlm_eval.core.hashing import digest_bytes
from vlm_eval.core.types import ImageRef
from vlm_eval.data.images import decode, fingerprint, image_ref, open_image, same_file

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
LOSSLESS = [
    ("PNG", {}),
    ("BMP", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("WEBP", {"lossless": True}),
]


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


PNG = encoded(Image.fromarray(PIXELS), "PNG")
FILES = {
    kind: encoded(Image.fromarray(PIXELS), kind)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
}


def attempt(data: bytes) -> np.ndarray | None:
    """Return the pixels, None after a DataError; nothing else may be raised."""
    try:
        return np.asarray(decode(data, "a", max_pixels=10**6))
    except DataError:
        return None


def header_of(width: int, height: int) -> bytes:
    """A PNG that promises this size and holds no pixel."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_lossless_formats_give_the_pixels_that_were_written(kind, options):
    image = decode(encoded(Image.fromarray(PIXELS), kind, **options), "a")
    assert image.mode == "RGB"
    assert np.array_equal(np.asarray(image), PIXELS)


@pytest.mark.parametrize("kind", FILES)
def test_every_allowed_format_is_read_as_rgb(kind):
    image = decode(FILES[kind], "a")
    assert (image.mode, image.size) == ("RGB", (30, 20))


@pytest.mark.parametrize("kind", ["PPM", "PCX", "TGA", "ICO", "EPS"])
def test_other_formats_are_refused_by_content_and_not_by_name(kind):
    with pytest.raises(DataError, match=r"^photo\.png: not a readable PNG, JPEG"):
        decode(encoded(Image.fromarray(PIXELS), kind), "photo.png")


@pytest.mark.parametrize("data", [b"", b"no image", b"<svg></svg>", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(DataError, match=r"^a\.png: not a readable"):
        decode(data, "a.png")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", FILES)
def test_a_cut_file_is_an_error_or_whole(kind):
    """Only a file that lost nothing but its end mark may still be read, and then in full."""
    data = FILES[kind]
    whole = np.asarray(decode(data, "a"))
    readable = {
        end: pixels for end in range(len(data)) if (pixels := attempt(data[:end])) is not None
    }
    assert all(end > len(data) - 25 for end in readable)
    assert all(np.array_equal(pixels, whole) for pixels in readable.values())


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@given(
    kind=st.sampled_from(sorted(FILES)),
    damage=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_damaged_file_is_read_or_is_a_data_error(kind, damage):
    data = bytearray(FILES[kind])
    for place, byte in damage:
        data[place % min(len(data), 200)] = byte
    pixels = attempt(bytes(data))
    assert pixels is None or pixels.shape[2:] == (3,)


def test_the_size_is_checked_before_any_pixel_is_decoded():
    with pytest.raises(DataError, match=r"^a: the image has more than 999,999 pixels"):
        decode(header_of(1000, 1000), "a", max_pixels=999_999)
    with pytest.raises(DataError, match="not a readable"):  # the size is allowed, the pixels lack
        decode(header_of(1000, 1000), "a", max_pixels=1_000_000)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused_by_default(side):
    with pytest.raises(DataError, match="more than 89,478,485 pixels"):
        decode(header_of(side, side), "bomb.png")


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_a_bomb_warning_that_is_an_error_is_refused_alike():
    with pytest.raises(DataError, match="more than 89,478,485 pixels"):
        decode(header_of(10_000, 10_000), "bomb.png")


def test_pillows_globals_are_not_touched():
    before = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    decode(PNG, "a", max_pixels=10**9)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, PIXELS),
        (2, PIXELS[:, ::-1]),
        (3, PIXELS[::-1, ::-1]),
        (4, PIXELS[::-1]),
        (5, PIXELS.transpose(1, 0, 2)),
        (6, np.rot90(PIXELS, -1)),
        (7, PIXELS.transpose(1, 0, 2)[::-1, ::-1]),
        (8, np.rot90(PIXELS)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_the_exif_orientation_is_applied_and_dropped(kind, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(encoded(Image.fromarray(PIXELS), kind, exif=exif), "a")
    assert np.array_equal(np.asarray(image), upright)
    assert image.info == {}
    assert 0x0112 not in image.getexif()


def test_transparency_is_composited_on_white():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0] = [[200, 0, 0, 255], [200, 0, 0, 0], [200, 0, 0, 51]]  # opaque, clear, a fifth
    image = np.asarray(decode(encoded(Image.fromarray(rgba), "PNG"), "a"))
    assert image.tolist() == [[[200, 0, 0], [255, 255, 255], [244, 204, 204]]]


def test_a_transparent_colour_of_a_palette_is_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    for kind in ("PNG", "GIF"):
        rgb = decode(encoded(image, kind, transparency=0), "a")
        assert np.asarray(rgb).tolist() == [[[255, 255, 255], [40, 50, 60]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_cut(kind):
    grey = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    image = np.asarray(decode(encoded(Image.fromarray(grey), kind), "a"))
    assert image[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    assert np.array_equal(image[..., 0], image[..., 2])


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_thirty_two_bit_grey_has_no_white_level(dtype):
    data = encoded(Image.fromarray(np.ones((2, 2), dtype)), "TIFF")
    with pytest.raises(DataError, match=r"^depth\.tif: 32-bit grey .* convert the file to 8 bits"):
        decode(data, "depth.tif")


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(mode):
    image = Image.fromarray(PIXELS).convert(mode)
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(np.asarray(decode(encoded(image, "TIFF"), "a")), expected)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_is_the_image(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue", "green")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert decode(data, "a").getpixel((0, 0)) == (255, 0, 0)


def test_the_key_is_the_digest_of_the_files_bytes(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    for ref in (open_image(path), open_image("a.png", root=tmp_path), image_ref(PNG, "a.png")):
        assert ref.key == digest_bytes(PNG)
        assert ref.label.endswith("a.png")
        assert np.array_equal(np.asarray(ref.load()), PIXELS)


def test_nothing_is_decoded_before_it_is_asked_for(tmp_path: Path):
    (tmp_path / "broken.png").write_bytes(PNG[:-300])
    ref = open_image("broken.png", root=tmp_path)
    with pytest.raises(DataError, match=r"^broken\.png: not a readable"):
        ref.load()
    with pytest.raises(DataError, match=r"^x: not a readable"):
        image_ref(b"", "x").load()


def test_a_file_that_changes_is_noticed(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    ref = open_image(path)
    path.write_bytes(encoded(Image.new("RGB", (3, 3)), "PNG"))
    with pytest.raises(DataError, match="the image changed"):
        ref.load()


def test_a_path_stays_in_its_folder(tmp_path: Path):
    root = tmp_path / "data"
    root.mkdir()
    secret = tmp_path / "secret.png"
    secret.write_bytes(PNG)
    (root / "link.png").symlink_to(secret)
    for path in ("../secret.png", str(secret), "link.png", "x/../../secret.png"):
        with pytest.raises(DataError, match="leaves the data folder"):
            open_image(path, root=root)
    (root / "in.png").write_bytes(PNG)
    for path in ("in.png", "./in.png", str(root / "in.png"), "x/../in.png"):
        assert open_image(path, root=root).key == digest_bytes(PNG)


def test_a_link_to_a_folder_may_be_the_root(tmp_path: Path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.png").write_bytes(PNG)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert open_image("a.png", root=tmp_path / "link").key == digest_bytes(PNG)


@pytest.mark.parametrize("path", ["missing.png", ".", "a\0b.png", "x" * 5000, ""])
def test_what_is_no_file_is_a_data_error(tmp_path: Path, path: str):
    with pytest.raises(DataError):
        open_image(path, root=tmp_path)
    with pytest.raises(DataError):
        open_image(tmp_path / path)


def test_a_pipe_is_no_file(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="no such image file"):
        open_image("pipe.png", root=tmp_path)


@pytest.mark.parametrize("cut", [5, 12, 16])
def test_a_png_without_its_end_is_cut_short(cut: int):
    data = encoded(Image.new("RGB", (8, 6), "red"), "PNG")
    with pytest.raises(DataError, match="not a readable"):
        decode(data[:-cut], "a.png")


def test_a_fingerprint_is_of_length_and_ends_and_the_same_anywhere(tmp_path: Path):
    data = bytes(range(256)) * 100
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    def of(data: bytes, name: str = "a/x.png") -> str:
        (tmp_path / name).write_bytes(data)
        return fingerprint(open_image(tmp_path / name))

    one = of(data)
    assert one == of(data, "b/other.png")
    assert one == fingerprint(image_ref(data, "memory"))
    assert one != of(data + b"x")
    assert one != of(b"x" + data[1:])
    assert one != of(data[:-1] + b"x")
    middle = data[:12_800] + b"x" + data[12_801:]
    assert one == of(middle)  # which the key tells
    assert open_image(tmp_path / "a" / "x.png").key == digest_bytes(middle)
    small = b"x" * 8_000
    assert of(small) != of(small[:4_000] + b"y" + small[4_001:])


def test_of_what_is_drawn_the_key_is_the_fingerprint():
    ref = ImageRef("recipe", lambda: Image.new("RGB", (1, 1)))
    assert fingerprint(ref) == "recipe"


def test_same_files_are_the_same_bytes(tmp_path: Path):
    names = {"a": b"one", "b": b"one", "c": b"two", "d": b"three"}
    for name, data in names.items():
        (tmp_path / name).write_bytes(data)
    a, b, c, d = (open_image(tmp_path / name) for name in names)
    assert same_file(a, b)
    assert not same_file(a, c)
    assert not same_file(a, d)
    assert a == b != c
    assert len({a, b, c}) == 2


def test_a_file_that_is_written_anew_has_no_key(tmp_path: Path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    ref = open_image(path)
    path.write_bytes(PNG + b"x")
    with pytest.raises(DataError, match="the image changed"):
        _ = ref.key
