import io

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import config as config_lib
from pipelines import faces
from pipelines.converting import images, jpeg_draft


def _jpeg(pixels, **options):
    buffer = io.BytesIO()
    options = {"quality": 95, **options}
    Image.fromarray(np.asarray(pixels)).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _face(size=(178, 218)):
    image = Image.fromarray(np.asarray(faces.draw(3, 1).image))
    return image.resize(size, Image.Resampling.BICUBIC)


def _noise(size=(178, 218)):
    return np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)


def _decoded(data, config, shape):
    if config.encoding == "raw":
        return np.frombuffer(data, np.uint8).reshape(shape).astype(float)
    mode = {1: "L", 3: "RGB"}[shape[-1]]
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode)).astype(float)


def _both(picture, channels=3, **settings):
    """Return what is stored, and what would be stored after full decoding."""
    config = config_lib.ConvertConfig(**settings)
    full = images.fit(images.load(picture, channels), config)
    shape = (full.height, full.width, channels)
    full = images.encode(full, config.encoding, config.quality)
    drafted = images.convert(picture, config, shape)
    return _decoded(drafted, config, shape), _decoded(full, config, shape)


def _begin(picture, channels=3, shrinkage=1.0, **settings):
    config = config_lib.ConvertConfig(**settings)
    with Image.open(io.BytesIO(picture)) as image:
        return jpeg_draft.begin(image, config, channels, shrinkage)


class ChoiceTest(parameterized.TestCase, tf.test.TestCase):
    def test_mode(self):
        face = _jpeg(_face())
        self.assertEqual(_begin(face), ("YCbCr", 1))
        self.assertEqual(_begin(face, encoding="png"), ("RGB", 1))
        self.assertEqual(_begin(face, encoding="raw"), ("RGB", 1))
        self.assertEqual(_begin(face, pad=True), ("RGB", 1))
        self.assertEqual(_begin(face, channels=1), ("L", 1))

    def test_others_take_the_ordinary_path(self):
        buffer = io.BytesIO()
        _face().save(buffer, "PNG")
        cmyk, keep_rgb = _face().convert("CMYK"), {"keep_rgb": True}
        for picture in (
            buffer.getvalue(),
            _jpeg(_face().convert("L")),
            _jpeg(_face(), **keep_rgb),
        ):
            self.assertEqual(_begin(picture, shrinkage=1), ("RGB", 1))
        buffer = io.BytesIO()
        cmyk.save(buffer, "JPEG")
        self.assertEqual(_begin(buffer.getvalue()), ("RGB", 1))

    @parameterized.parameters(
        *((1, 1), (3.9, 1), (4, 2), (7.9, 2), (8, 4), (16, 8), (99, 8))
    )
    def test_enough_is_left_to_resample(self, shrinkage, scale):
        picture = _jpeg(_noise((192, 192)))
        self.assertEqual(_begin(picture, shrinkage=shrinkage)[1], scale)
        for resample in ("nearest", "box"):
            chosen = _begin(picture, shrinkage=shrinkage, resample=resample)
            self.assertEqual(chosen[1], 1)


class ToleranceTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.product(
        subsampling=(0, 1, 2), progressive=(False, True), image_size=(96, 0)
    )
    def test_ycc_loses_no_more_than_rgb(self, subsampling, progressive, image_size):
        form = {"subsampling": subsampling, "progressive": progressive, "quality": 80}
        for pixels in (_face(), _noise()):
            picture = _jpeg(pixels, **form)
            settings = {"image_size": image_size}
            wanted, _ = _both(picture, encoding="raw", **settings)
            drafted, full = (x - wanted for x in _both(picture, **settings))
            self.assertLess(np.mean(drafted**2), 1.05**2 * np.mean(full**2) + 0.1)

    def test_luma_alone(self):
        for pixels in (_face(), _noise()):
            drafted, full = _both(_jpeg(pixels), 1, encoding="raw")
            self.assertLess(np.mean(np.abs(drafted - full)), 0.1)

    @parameterized.product(
        image_size=(16, 32, 44),
        resample=("bilinear", "hamming", "bicubic", "lanczos"),
        size=((178, 218), (219, 179)),
    )
    def test_reduced_decoding(self, image_size, resample, size):
        for pixels, tolerance in ((_face(size), 1), (_noise(size), 5)):
            drafted, full = _both(
                _jpeg(pixels),
                image_size=image_size,
                resample=resample,
                encoding="raw",
            )
            self.assertLess(np.mean(np.abs(drafted - full)), tolerance)

    def test_reduced_crop_stays_in_place(self):
        # A ramp: its mean tells where the region lies, to a part of a pixel.
        ramp = np.repeat(np.arange(219) / 219 * 255, 3).reshape(1, 219, 3)
        ramp = np.tile(np.rint(ramp).astype(np.uint8), (201, 1, 1))
        for crop in ("square", "131", "none"):
            drafted, full = _both(_jpeg(ramp), image_size=16, crop=crop, encoding="raw")
            self.assertAllClose(np.mean(drafted), np.mean(full), atol=0.2)

    @parameterized.parameters(
        {"encoding": "png"},
        {"encoding": "raw", "image_size": 64},
        {"encoding": "raw", "image_size": 16, "resample": "box"},
        {"encoding": "raw", "image_size": 16, "resample": "nearest"},
        {"pad": True, "image_size": 256},
    )
    def test_everything_else_is_equal(self, **settings):
        drafted, full = _both(_jpeg(_noise()), **settings)
        self.assertAllEqual(drafted, full)

    @parameterized.parameters(range(2, 9))
    def test_turned_images(self, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture = _jpeg(_face((200, 200)), exif=exif)
        drafted, full = _both(picture, image_size=16, encoding="raw")
        self.assertAllEqual(drafted, full)
        drafted, full = _both(picture, image_size=96)
        self.assertLess(np.mean(np.abs(drafted - full)), 2)

    def test_damaged(self):
        for settings in ({}, {"image_size": 16}):
            with self.assertRaisesRegex(images.ImageError, "truncated"):
                _both(_jpeg(_noise())[:-9000], **settings)


if __name__ == "__main__":
    tf.test.main()
