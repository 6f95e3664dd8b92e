"""Kinds of feature extractors: what is given, and how images reach the network.

Nothing here imports TensorFlow.
"""

import attrs


@attrs.frozen
class Kind:
    """A kind of feature extractor.

    Attributes:
        name: As --features has it, before the colon.
        place: What lies at the path after it; empty: it takes no path.
        text: What its features are, for help.
        names_figures: Whether figures are called by the kind, which has one network, or
            by the path.
    """

    name: str
    place: str
    text: str
    names_figures: bool = True


_ALL = (
    Kind(
        "gradients",
        "",
        "orientations of gradients, and colours, without weights",
    ),
    Kind(
        "faces",
        "",
        "what a face detector knows, and colours (the extra faces)",
    ),
    Kind(
        "ttur",
        "classify_image_graph_def.pb",
        "Inception's graph of 2015, which resizes images itself, as FID's authors "
        "take it",
    ),
    Kind(
        "clean",
        "classify_image_graph_def.pb",
        "the same graph, of images resized by Pillow's bicubic filter, as clean-fid "
        "takes it",
    ),
    Kind(
        "keras",
        "the file of Keras' InceptionV3 weights without top",
        "Keras' InceptionV3, whose figures compare with their like only",
    ),
    Kind(
        "saved_model",
        "a SavedModel's folder",
        "any network from images in [0, 1] to vectors",
        names_figures=False,
    ),
)
EXTRACTORS = {kind.name: kind for kind in _ALL}
_KINDS = "; ".join(
    f"{kind.name}{kind.place and f':PATH ({kind.place})'}: {kind.text}" for kind in _ALL
)
JUDGE_HELP = (
    "Feature extractor by which distances rank models (a path alone is one of keras or "
    f"saved_model). {_KINDS}; auto: faces where the extra is installed and real images "
    "show faces, else gradients."
)
