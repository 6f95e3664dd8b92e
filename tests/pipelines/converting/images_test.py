import io
import os
import struct
import zlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import config as config_lib
from pipelines import files
from pipelines.converting import images
from tests.pipelines import fixtures


def _encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def _bomb_png(side):
    """A PNG whose header claims side x side pixels."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


class LoadTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ("L", 100, (100, 100, 100)),
        ("1", 1, (255, 255, 255)),
        ("RGB", (10, 20, 30), (10, 20, 30)),
        ("LA", (200, 255), (200, 200, 200)),
        ("LA", (200, 0), (0, 0, 0)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (255, 255, 255, 0), (0, 0, 0)),
        ("RGBA", (200, 100, 50, 128), (100, 50, 25)),
    )
    def test_mode_becomes_the_colour_it_shows(self, mode, colour, expected):
        loaded = images.load(_encoded(Image.new(mode, (3, 2), colour)), 3)
        self.assertEqual(loaded.mode, "RGB")
        self.assertEqual(loaded.size, (3, 2))
        self.assertAllClose(loaded.getpixel((1, 1)), expected, atol=1)

    def test_palette(self):
        image = Image.new("P", (2, 1))
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.putpixel((1, 0), 1)
        loaded = images.load(_encoded(image), 3)
        self.assertAllEqual(np.asarray(loaded), [[[255, 0, 0], [0, 0, 255]]])

    def test_transparent_palette_entry_becomes_black(self):
        image = Image.new("P", (2, 1))
        image.putpalette([255, 0, 0, 0, 0, 255])
        image.putpixel((1, 0), 1)
        loaded = images.load(_encoded(image, transparency=0), 3)
        self.assertAllEqual(np.asarray(loaded), [[[0, 0, 0], [0, 0, 255]]])

    def test_cmyk(self):
        image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
        loaded = images.load(_encoded(image, "JPEG", quality=95), 3)
        self.assertAllClose(loaded.getpixel((8, 8)), (255, 0, 0), atol=6)

    @parameterized.parameters((0, 0), (257, 1), (32768, 128), (65535, 255), (128, 0))
    def test_sixteen_bits_are_scaled_not_clipped(self, value, expected):
        image = Image.fromarray(np.full((2, 2), value, np.uint16))
        for channels in (1, 3):
            loaded = np.asarray(images.load(_encoded(image), channels))
            self.assertAllEqual(np.unique(loaded), [expected])

    def test_grey_is_luma(self):
        image = Image.new("RGB", (2, 2), (255, 0, 0))
        self.assertEqual(images.load(_encoded(image), 1).getpixel((0, 0)), 76)

    @parameterized.parameters(range(1, 9))
    def test_exif_rotation_is_undone(self, orientation):
        # A red left half and blue right half, stored as each orientation would.
        upright = np.zeros((8, 16, 3), np.uint8)
        upright[:, :8, 0] = upright[:, 8:, 2] = 255
        upright[:2, :, 1] = 255
        stored = {
            1: upright,
            2: upright[:, ::-1],
            3: upright[::-1, ::-1],
            4: upright[::-1],
            5: upright.transpose(1, 0, 2),
            6: np.rot90(upright, 1),
            7: upright[::-1, ::-1].transpose(1, 0, 2),
            8: np.rot90(upright, -1),
        }[orientation]
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = _encoded(Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
        self.assertAllEqual(np.asarray(images.load(data, 3)), upright)
        self.assertEqual(images.probe(data), ((16, 8), False))

    def test_arrays(self):
        for shape in ((4, 5), (4, 5, 1), (4, 5, 3)):
            array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
            channels = 3 if shape[-1] == 3 else 1
            loaded = np.asarray(images.load(array, channels))
            self.assertAllEqual(loaded, array.reshape(loaded.shape))

    @parameterized.named_parameters(
        ("text", b"hello", "not an image"),
        ("empty", b"", "not an image"),
        ("truncated", _encoded(fixtures.photo(0), "JPEG")[:-900], "truncated"),
        ("eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        ("bomb", _bomb_png(10_000), "exceeds limit"),
        ("huge bomb", _bomb_png(60_000), "exceeds limit"),
        ("float", _encoded(Image.new("F", (2, 2)), "TIFF"), "floating-point"),
    )
    def test_bad_image(self, data, fragment):
        with self.assertRaisesRegex(images.ImageError, fragment):
            images.load(data, 3)

    def test_missing_file(self):
        path = os.path.join(self.get_temp_dir(), "gone.jpg")
        with self.assertRaisesRegex(images.ImageError, "No such file"):
            images.load(path, 3)


class FitTest(parameterized.TestCase, tf.test.TestCase):
    def test_square_crop_is_the_centre(self):
        pixels = np.zeros((4, 8, 3), np.uint8)
        pixels[:, 2:6] = 200
        config = config_lib.ConvertConfig(image_size=4, crop="square")
        fitted = images.fit(Image.fromarray(pixels), config)
        self.assertAllEqual(np.asarray(fitted), np.full((4, 4, 3), 200))

    def test_crop_to_pixels_without_resizing(self):
        pixels = np.arange(7 * 9, dtype=np.uint8).reshape(7, 9)
        config = config_lib.ConvertConfig(image_size=0, crop="3")
        fitted = images.fit(Image.fromarray(pixels), config)
        self.assertAllEqual(np.asarray(fitted), pixels[2:5, 3:6])

    @parameterized.parameters(*config_lib.RESAMPLING_FILTERS)
    def test_constant_stays_constant(self, resample):
        config = config_lib.ConvertConfig(image_size=5, resample=resample, crop="none")
        fitted = images.fit(Image.new("RGB", (17, 11), (1, 128, 255)), config)
        self.assertEqual(fitted.size, (5, 5))
        self.assertAllEqual(
            np.asarray(fitted), np.full((5, 5, 3), (1, 128, 255), np.uint8)
        )

    def test_box_filter_is_the_mean(self):
        pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
        config = config_lib.ConvertConfig(image_size=4, resample="box")
        fitted = np.asarray(images.fit(Image.fromarray(pixels), config))
        means = pixels.reshape(4, 2, 4, 2).mean(axis=(1, 3))
        self.assertAllClose(fitted, means, atol=1)  # Rounded along each axis in turn.

    def test_padding_is_black_and_centred(self):
        config = config_lib.ConvertConfig(image_size=32, pad=True, crop="none")
        fitted = np.asarray(images.fit(Image.new("L", (28, 28), 9), config))
        expected = np.zeros((32, 32), np.uint8)
        expected[2:30, 2:30] = 9
        self.assertAllEqual(fitted, expected)

    @parameterized.parameters(
        ({"crop": "40"}, "at least 40 x 40 .* received 30 x 20"),
        ({"crop": "none", "image_size": 28, "pad": True}, "at most 28 x 28 .* 30 x 20"),
    )
    def test_refuses_what_does_not_fit(self, settings, message):
        config = config_lib.ConvertConfig(**settings)
        with self.assertRaisesRegex(files.UserError, message):
            images.fit(Image.new("L", (30, 20)), config)

    def test_convert_refuses_another_size(self):
        config = config_lib.ConvertConfig(image_size=0, crop="none")
        array = np.zeros((4, 5), np.uint8)
        with self.assertRaisesRegex(
            files.UserError, "one size .* 6 x 4 .*received 5 x 4"
        ):
            images.convert(array, config, (4, 6, 1))


class EncodeTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters("png", "raw")
    def test_lossless(self, encoding):
        image = fixtures.photo(1, (6, 4))
        data = images.encode(image, encoding, 95)
        if encoding == "raw":
            decoded = np.frombuffer(data, np.uint8).reshape(4, 6, 3)
        else:
            decoded = tf.io.decode_png(data).numpy()
        self.assertAllEqual(decoded, np.asarray(image))

    def test_jpeg_quality_counts(self):
        image = fixtures.photo(1)
        sizes = [len(images.encode(image.copy(), "jpeg", q)) for q in (10, 50, 95)]
        self.assertLess(sizes[0], sizes[1])
        self.assertLess(sizes[1], sizes[2])

    def test_bytes_depend_on_pixels_only(self):
        plain, commented = fixtures.photo(1), fixtures.photo(1)
        commented.info = {"comment": b"hello", "icc_profile": b"x" * 99}
        for encoding in ("jpeg", "png"):
            self.assertEqual(
                images.encode(plain, encoding, 95),
                images.encode(commented, encoding, 95),
            )


if __name__ == "__main__":
    tf.test.main()
