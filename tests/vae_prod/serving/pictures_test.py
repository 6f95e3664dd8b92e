import contextlib
import io

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image, ImageOps

from tests.vae_prod.serving import tiny_exports
from vae_prod.reporting import image_grids
from vae_prod.serving import pictures


def _image(height, width, channels=3):
    """Return a smooth picture, which JPEG keeps well."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(5 * x + 3 * y + k) for k in range(channels)]
    return np.uint8(np.rint(127 + 110 * np.stack(waves, axis=-1)))


def _file(image, kind="PNG", **how) -> bytes:
    buffer = io.BytesIO()
    flat = image[..., 0] if image.shape[-1] == 1 else image
    Image.fromarray(flat).save(buffer, kind, **how)
    return buffer.getvalue()


def _prepared(files, **changes) -> np.ndarray:
    """Prepare files in a graph, as a signature does; levels of 255."""
    preparation = tiny_exports.preparation(**changes)
    graph = tf.function(lambda contents: preparation("image_bytes", contents))
    return graph(tf.constant(files)).numpy() * 255


class PreparationTest(tf.test.TestCase, parameterized.TestCase):
    def test_pictures_of_different_sizes_and_kinds(self):
        images = [_image(30, 24), _image(9, 17), _image(8, 8)]
        files = [_file(images[0], "JPEG", quality=95), *map(_file, images[1:])]
        got = _prepared(files)
        self.assertAllEqual(got.shape, (3, 8, 8, 3))
        self.assertAllClose(got[2], images[2])
        for file, prepared in zip(files, got, strict=True):
            whole = Image.open(io.BytesIO(file))
            side = min(whole.size)
            left, upper = ((edge - side) // 2 for edge in whole.size)
            box = (left, upper, left + side, upper + side)
            fitted = whole.resize((8, 8), Image.Resampling.LANCZOS, box=box)
            self.assertAllClose(prepared, np.asarray(fitted), atol=1)

    def test_a_square_of_so_many_pixels(self):
        image = _image(31, 20)
        got = _prepared([_file(image)], crop="8")
        self.assertAllClose(got[0], image[11:19, 6:14])

    def test_a_box(self):
        image = _image(31, 20)
        got = _prepared([_file(image)], crop="box:3,12,11,20")
        self.assertAllClose(got[0], image[12:20, 3:11])

    def test_the_whole_picture(self):
        image = _image(16, 32)
        got = _prepared([_file(image)], crop="none", resample="box")
        expected = image.reshape(8, 2, 8, 4, 3).mean(axis=(1, 3))
        self.assertAllClose(got[0], expected, atol=1)

    def test_the_central_window(self):
        image = _image(14, 14)
        got = _prepared([_file(image)], stored=(14, 14))
        self.assertAllClose(got[0], image[3:11, 3:11])

    def test_padded(self):
        image = _image(5, 6)
        got = _prepared([_file(image)], crop="none", pad=True)
        expected = np.zeros((8, 8, 3))
        expected[1:6, 1:7] = image
        self.assertAllClose(got[0], expected)

    @parameterized.parameters(*range(1, 9))
    def test_upright(self, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        image = _image(24, 16)
        file = _file(image, "JPEG", quality=95, exif=exif)
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(file)))
        got = _prepared([file], crop="none", resample="box")
        expected = upright.resize((8, 8), Image.Resampling.BOX)
        self.assertAllClose(got[0], np.asarray(expected), atol=1)

    def test_alpha_is_composited_on_black(self):
        alpha = np.full((8, 8, 1), 128, np.uint8)
        image = np.concatenate([_image(8, 8), alpha], axis=-1)
        got = _prepared([_file(image)])
        self.assertAllClose(got[0], np.rint(image[..., :3] * (128 / 255)), atol=0.5)

    def test_grey_of_colour_and_of_grey(self):
        color, grey = _image(8, 8), _image(8, 8, 1)
        got = _prepared([_file(color), _file(grey)], shape=(8, 8, 1))
        luma = np.asarray(Image.fromarray(color).convert("L"))[..., None]
        self.assertAllClose(got, np.stack([luma, grey]))

    def test_colour_of_grey(self):
        grey = _image(8, 8, 1)
        got = _prepared([_file(grey)])
        self.assertAllClose(got[0], np.repeat(grey, 3, axis=-1))

    @parameterized.named_parameters(
        ("empty", b"", {}, "expected a JPEG or PNG file"),
        ("text", b"no picture", {}, "expected a JPEG or PNG file"),
        ("gif", b"GIF89a" + bytes(40), {}, "expected a JPEG or PNG file"),
        ("no_jpeg", b"\xff\xd8\xff" + bytes(40), {}, "image_bytes"),
        ("no_png", b"\x89PNG\r\n\x1a\n" + bytes(8), {}, "JPEG or PNG file"),
        ("cut_jpeg", _file(_image(30, 30), "JPEG")[:-200], {}, "image_bytes"),
        ("cut_png", _file(_image(30, 30))[:-200], {}, "image_bytes"),
        ("small", _file(_image(9, 7)), {"crop": "8"}, "at least 8 x 8.*9 7"),
        (
            "box",
            _file(_image(9, 7)),
            {"crop": "box:1,1,8,8"},
            "at least 8 x 8.*9 7",
        ),
        ("large", _file(_image(9, 9)), {"pad": True}, "at most 8 x 8"),
    )
    def test_refused_by_name(self, file, changes, sentence):
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, sentence) as caught:
            _prepared([_file(_image(8, 8)), file], **changes)
        self.assertIn("image_bytes", str(caught.exception))

    def test_a_bomb_is_refused_before_it_is_decoded(self):
        preparation = tiny_exports.preparation()
        graph = tf.function(
            lambda contents: preparation("image_bytes", contents),
            input_signature=[tf.TensorSpec([None], tf.string)],
        )
        for side in (2_001, 60_000, 2**31, 2**32 - 1):
            head = bytearray(_file(_image(8, 8)))
            head[16:24] = side.to_bytes(4, "big") * 2
            with self.assertRaisesRegex(
                tf.errors.InvalidArgumentError,
                rf"at most 4000000 pixels, got in row.*1.*{side}",
            ):
                graph(tf.constant([_file(_image(8, 8)), bytes(head)]))

    @parameterized.parameters("JPEG", "PNG")
    def test_limits_of_a_picture_and_of_a_request(self, kind):
        files = [_file(_image(20, 10), kind), _file(_image(10, 30), kind)]
        for limits, sentence in (
            (pictures.Limits(image=299), r"(?s)at most 299 pixels.*1.*10, 30"),
            (
                pictures.Limits(request=499),
                r"(?s)at most 499 pixels in a request.*500",
            ),
            (pictures.Limits(image=300, request=500), ""),
        ):
            refused = tf.errors.InvalidArgumentError
            with contextlib.ExitStack() as stack:
                if sentence:
                    stack.enter_context(self.assertRaisesRegex(refused, sentence))
                tiny_exports.preparation()("image_bytes", tf.constant(files), limits)


class EncodePngTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(channels=(1, 3), sharpness=(1.0, 0.0, 3.0))
    def test_levels_are_pillows(self, channels, sharpness):
        rng = np.random.default_rng(0)
        images = rng.uniform(size=(2, 7, 6, channels)).astype(np.float32)
        files = pictures.encode_png(tf.constant(images), sharpness).numpy()
        got = np.stack([tf.io.decode_png(file) for file in files])
        expected = images if sharpness == 1 else image_grids.sharpen(images, sharpness)
        self.assertAllEqual(got, image_grids.to_uint8(expected))


if __name__ == "__main__":
    tf.test.main()
