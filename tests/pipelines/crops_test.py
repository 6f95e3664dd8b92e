import io
import math

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image, ImageDraw

from pipelines import config as config_lib
from pipelines import crops, files
from pipelines.converting import images

# One example of each form; a test holds the table against it.
_EXAMPLES = {
    "square": "square",
    "none": "none",
    "N": "140",
    "box:LEFT,TOP,RIGHT,BOTTOM": "box:15,40,163,188",
    "bbox:M": "bbox:0.2",
    "eyes:D,H": "eyes:0.27,0.51",
}
_SIZE = 178, 218
# Of CelebA's aligned images: the eyes lie about here in each.
_FACE = crops.Face((40, 60, 100, 120), [(69, 111), (108, 111)])


def _region(text, size=_SIZE, face=_FACE):
    return crops.parse(text).region(size, face)


def _marked(face, size=(400, 300)):
    """A grey picture with a red dot on the left eye and a blue one on the right."""
    image = Image.new("RGB", size, (90, 90, 90))
    draw = ImageDraw.Draw(image)
    for (x, y), colour in zip(face.landmarks, ((255, 0, 0), (0, 0, 255)), strict=True):
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), colour)
    return image


def _centre(image, channel):
    """(x, y) of what is bright in one channel alone, as fractions of the side."""
    pixels = np.asarray(image, np.float64)
    others = np.delete(pixels, channel, axis=-1).max(axis=-1)
    weights = np.maximum(pixels[..., channel] - others - 60, 0)
    rows, columns = np.indices(weights.shape) + 0.5
    total = weights.sum() * len(pixels)
    return (columns * weights).sum() / total, (rows * weights).sum() / total


class ParseTest(parameterized.TestCase, tf.test.TestCase):
    def test_every_form_has_an_example_and_is_in_the_help(self):
        self.assertCountEqual(_EXAMPLES, [form.written for form in crops.FORMS])
        for form in crops.FORMS:
            self.assertIsInstance(crops.parse(_EXAMPLES[form.written]), form.make)
            self.assertIn(form.text, crops.HELP)

    @parameterized.parameters(
        *("", "round", "-3", "²", "1e3", "box", "box:1,2,3", "box:1,2,3,x", "eyes"),
        *(
            "bbox:",
            "bbox:-1",
            "bbox:nan",
            "eyes:0.3",
            "9" * 9,
            "square\n",
            "box:1,2,3,4 ",
        ),
    )
    def test_refuses_other_forms(self, text):
        with self.assertRaisesRegex(
            ValueError, "one of the forms square, none, N, box"
        ):
            crops.parse(text)

    @parameterized.parameters(
        ("0", "side"),
        ("box:9,0,9,5", "LEFT below RIGHT"),
        ("box:0,9,5,8", "TOP below BOTTOM"),
        ("bbox:2.5", "margin"),
        ("eyes:0.05,0.5", "distance"),
        ("eyes:0.95,0.5", "distance"),
        ("eyes:0.3,1.5", "height"),
    )
    def test_refuses_numbers_out_of_range(self, text, message):
        with self.assertRaisesRegex(ValueError, message):
            crops.parse(text)


class RegionTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ("none", (0, 0, 178, 218)),
        ("square", (0, 20, 178, 198)),
        ("140", (19, 39, 159, 179)),
        ("148", (15, 35, 163, 183)),
        ("128", (25, 45, 153, 173)),
        ("box:15,40,163,188", (15, 40, 163, 188)),
        ("bbox:0", (30, 60, 150, 180)),
        ("bbox:0.25", (0, 30, 180, 210)),
    )
    def test_of_an_aligned_image(self, text, expected):
        self.assertEqual(_region(text).box, expected)

    def test_eyes_of_an_aligned_image_are_about_the_centre_of_140_pixels(self):
        region = _region("eyes:0.27,0.51")
        self.assertEqual(region.angle, 0.0)
        self.assertAllClose(region.box, (19, 39, 159, 179), atol=6)

    @parameterized.parameters(
        ("219", "at least 219 x 219 pixels for --crop=219, received 178 x 218"),
        ("box:0,0,179,10", "at least 179 x 10 pixels for --crop=box:0,0,179,10"),
        ("box:0,0,10,219", "at least 10 x 219"),
    )
    def test_refuses_small_pictures(self, text, message):
        with self.assertRaisesRegex(files.UserError, message):
            _region(text)

    @parameterized.parameters(
        ("bbox:0", {"box": (500, 60, 100, 120)}, "at least 25%.*picture.*0% is"),
        ("bbox:0", {"box": (-90, 60, 100, 120)}, "at least 25%"),
        ("bbox:0", {"box": (40, 60, 0, 120)}, "bounding box is 0 x 120"),
        ("bbox:0", {"box": (0, 0, 10**9, 10**9)}, "at least 25%"),
        ("eyes:0.3,0.5", {"landmarks": [(5, 5), (5, 5)]}, "eyes are 0 pixels apart"),
        ("eyes:0.1,0.5", {"landmarks": [(-900, 5), (900, 5)]}, "at least 25%"),
    )
    def test_refuses_annotations_out_of_place(self, text, face, message):
        with self.assertRaisesRegex(crops.AnnotationError, message):
            _region(text, face=crops.Face(**face))


class CutTest(parameterized.TestCase, tf.test.TestCase):
    def _fitted(self, crop, face, image=None, **settings):
        config = config_lib.ConvertConfig(crop=crop, **{"image_size": 64, **settings})
        return images.fit(image or _marked(face), config, face)

    @parameterized.parameters(*range(-150, 180, 30))
    def test_eyes_come_to_their_places_however_they_stand(self, degrees):
        across, down = (
            30 * function(math.radians(degrees)) for function in (math.cos, math.sin)
        )
        eyes = [(200 - across, 150 - down), (200 + across, 150 + down)]
        face = crops.Face(landmarks=[(round(x), round(y)) for x, y in eyes])
        fitted = self._fitted("eyes:0.3,0.4", face)
        self.assertAllClose(_centre(fitted, 0), (0.35, 0.4), atol=0.015)
        self.assertAllClose(_centre(fitted, 2), (0.65, 0.4), atol=0.015)

    def test_what_is_beyond_the_picture_repeats_its_edge(self):
        image = Image.new("RGB", (100, 100), (10, 200, 30))
        for crop, face in (
            ("bbox:0", crops.Face(box=(-30, 40, 80, 80))),
            ("eyes:0.3,0.4", crops.Face(landmarks=[(2, 2), (30, 20)])),
        ):
            for mode, colour in (("RGB", (10, 200, 30)), ("L", 124)):
                fitted = self._fitted(crop, face, image.convert(mode))
                wanted = np.asarray(Image.new(mode, (64, 64), colour))
                self.assertAllEqual(np.asarray(fitted), wanted, f"{crop} {mode}")

    def test_upright_eyes_are_cut_as_a_box_is(self):
        noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
        face = crops.Face(landmarks=[(80, 90), (120, 90)])
        fitted = self._fitted("eyes:0.4,0.5", face, Image.fromarray(noise))
        boxed = self._fitted("box:50,40,150,140", face, Image.fromarray(noise))
        self.assertAllEqual(np.asarray(fitted), np.asarray(boxed))

    def test_a_turned_image_keeps_its_grain(self):
        # Smooth shades survive turning: what is resampled twice isn't moved.
        rows, columns = np.indices((200, 200))
        ramp = np.stack([rows, columns, rows], axis=-1).astype(np.uint8)
        face = crops.Face(landmarks=[(100, 80), (100, 120)])  # A quarter turn.
        fitted = np.asarray(
            self._fitted("eyes:0.5,0.5", face, Image.fromarray(ramp), image_size=40)
        ).astype(float)
        inner = slice(3, -3)  # At the edge the filter is cut off.
        shades = 60.5 + 2 * np.arange(40)[inner]
        # Down in the result is to the left in the picture.
        self.assertAllClose(fitted[inner, 20, 1], shades[::-1], atol=1)
        self.assertAllClose(fitted[20, inner, 0], shades, atol=1)

    def test_draft_mode_cuts_the_same_region(self):
        face = crops.Face((300, 200, 400, 400), [(420, 340), (590, 360)])
        image = _marked(face, (1200, 900))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=98, subsampling=0)
        for crop in ("bbox:0.1", "eyes:0.3,0.4"):
            config = config_lib.ConvertConfig(crop=crop, image_size=48, encoding="raw")
            data = images.convert(buffer.getvalue(), config, (48, 48, 3), face)
            drafted = np.frombuffer(data, np.uint8).reshape(48, 48, 3)
            full = np.asarray(images.fit(image, config, face))
            self.assertAllClose(_centre(drafted, 0), _centre(full, 0), atol=0.01)
            self.assertAllClose(drafted.mean(), full.mean(), atol=1.0)


if __name__ == "__main__":
    tf.test.main()
