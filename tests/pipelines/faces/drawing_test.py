import attrs
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines.faces import canvas as canvas_lib
from pipelines.faces import drawing
from pipelines.faces import traits as traits_lib

BEARDS = {"5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns"}

# Where an attribute shows on a face seen from the front: left, top, right, bottom.
REGIONS = {
    "5_o_Clock_Shadow": (45, 130, 132, 182),
    "Arched_Eyebrows": (45, 85, 132, 108),
    "Attractive": (45, 60, 132, 180),
    "Bags_Under_Eyes": (50, 110, 127, 128),
    "Bald": (40, 28, 137, 90),
    "Bangs": (45, 55, 132, 105),
    "Big_Lips": (68, 142, 109, 165),
    "Big_Nose": (68, 105, 109, 148),
    "Bushy_Eyebrows": (45, 85, 132, 108),
    "Chubby": (25, 100, 152, 200),
    "Double_Chin": (55, 165, 122, 198),
    "Eyeglasses": (45, 95, 132, 132),
    "Goatee": (65, 150, 112, 182),
    "Heavy_Makeup": (45, 95, 132, 145),
    "High_Cheekbones": (45, 115, 132, 170),
    "Male": (40, 60, 137, 185),
    "Mouth_Slightly_Open": (68, 142, 109, 168),
    "Mustache": (65, 136, 112, 158),
    "Narrow_Eyes": (50, 100, 127, 122),
    "Oval_Face": (40, 100, 137, 190),
    "Pale_Skin": (50, 75, 127, 175),
    "Pointy_Nose": (68, 105, 109, 148),
    "Receding_Hairline": (45, 40, 132, 85),
    "Rosy_Cheeks": (45, 115, 132, 150),
    "Sideburns": (38, 100, 139, 160),
    "Smiling": (60, 135, 117, 170),
    "Wearing_Earrings": (28, 125, 149, 170),
    "Wearing_Hat": (20, 5, 157, 80),
    "Wearing_Lipstick": (68, 142, 109, 168),
    "Wearing_Necklace": (45, 165, 132, 205),
    "Wearing_Necktie": (30, 170, 147, 218),
    "Young": (45, 60, 132, 170),
}


def toggled(traits: traits_lib.Traits, name: str) -> traits_lib.Traits:
    """Return the same face with one attribute changed."""
    return attrs.evolve(traits, attributes=traits.attributes ^ {name})


def frontal(index, name):
    """Return a face seen from the front, on which nothing hides the attribute."""
    traits = traits_lib.sample(index, seed=11)
    shot = attrs.evolve(
        traits.shot, yaw=0.0, roll=0.0, zoom=1.0, shift_x=0.0, shift_y=0.0, style=0.4
    )
    hiding = {"Wearing_Hat", "Eyeglasses", "Blurry", "Bald", "Bangs", name} | BEARDS
    names = traits.attributes - hiding
    if name in BEARDS:
        # Without this, no style at all would mean a full beard.
        names = names | {"Male", "No_Beard"}
    elif name == "Wearing_Necklace":
        names = names - {"Wearing_Necktie"}
    return attrs.evolve(traits, shot=shot, attributes=names)


class FaceDrawingTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*traits_lib.ATTRIBUTE_NAMES)
    def test_every_attribute_is_visible_where_it_belongs(self, name):
        left, top, right, bottom = REGIONS.get(name, (0, 0, 178, 218))
        changes = []
        for index in range(6):
            traits = frontal(index, name)
            before, after = (
                drawing.draw(face).astype(float)
                for face in (traits, toggled(traits, name))
            )
            change = np.abs(after - before)
            changes.append(change[top:bottom, left:right].mean())
            if name in REGIONS:
                self.assertGreater(changes[-1], change.mean())
        # In levels of 255, averaged over the region.
        self.assertGreater(np.mean(changes), 1.0)

    def test_a_missing_beard_style_is_a_full_beard(self):
        traits = frontal(0, "No_Beard")
        shaven = attrs.evolve(
            traits, attributes=traits.attributes | {"Male", "No_Beard"}
        )
        chin = (slice(160, 172), slice(75, 102))
        bearded = drawing.draw(toggled(shaven, "No_Beard"))[chin]
        self.assertNotAllClose(
            drawing.draw(shaven)[chin].mean(), bearded.mean(), atol=5
        )

    def test_extreme_faces_are_drawn(self):
        traits = traits_lib.sample(0, seed=1)
        for bound in (-1.0, 1.0):
            fraction = (bound + 1) / 2
            jitters = {
                field.name: bound
                for field in attrs.fields(traits_lib.Person)
                if field.type is float
            }
            fractions = dict.fromkeys(
                ("skin_tone", "age", "iris", "hair_length", "hair_volume"), fraction
            )
            person = attrs.evolve(traits.person, **(jitters | fractions))
            shot = attrs.evolve(
                traits.shot, yaw=0.44 * bound, roll=0.08 * bound, style=fraction * 0.99
            )
            for attributes in (frozenset(), frozenset(traits_lib.ATTRIBUTE_NAMES)):
                image = drawing.draw(traits_lib.Traits(person, shot, attributes))
                self.assertEqual(image.shape, (218, 178, 3))
                self.assertGreater(image.std(), 10)

    def test_light_from_the_left_brightens_the_left(self):
        traits = frontal(1, "Bangs")
        cheeks = []
        for light_x in (-1.4, 1.4):
            shot = attrs.evolve(traits.shot, light_x=light_x)
            image = drawing.draw(attrs.evolve(traits, shot=shot))
            cheeks.append(
                float(image[125:145, 50:65].mean() - image[125:145, 112:127].mean())
            )
        self.assertGreater(cheeks[0], cheeks[1] + 10)


class FaceCanvasTest(tf.test.TestCase):
    def test_bumps_are_sums_of_gaussians(self):
        x = np.arange(-5, 6, dtype=np.float32)
        y = np.arange(-3, 4, dtype=np.float32)[:, None]
        rows = [(1, 0, 2, 3, 0.5), (-2, 1, 1, 2, -1)]
        expected = sum(
            height * np.exp(-(((x - a) / w) ** 2) - ((y - b) / h) ** 2)
            for a, b, w, h, height in rows
        )
        # The tails of the bumps end at 1e-7.
        self.assertAllClose(canvas_lib.bumps(x, y, rows), expected, atol=1e-6)

    def test_painting_a_crop_changes_the_canvas_there_alone(self):
        canvas = canvas_lib.new_canvas()
        canvas.pixels[:] = 0
        patch = canvas_lib.crop(canvas, -10, -5, 10, 5)
        patch.paint(np.ones((patch.y.size, patch.x.size)), (10, 20, 30))
        self.assertEqual(patch.pixels.shape, (3, 10, 20))
        self.assertAllClose(canvas.pixels.sum(axis=(1, 2)), (2000, 4000, 6000))


if __name__ == "__main__":
    tf.test.main()
