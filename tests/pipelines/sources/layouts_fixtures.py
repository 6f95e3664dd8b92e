"""The same 60 images in every layout, with all annotations that it carries."""

import io
import json
import os
import tarfile

import numpy as np
import pyarrow as pa
import tensorflow as tf
from array_record.python import array_record_module
from pyarrow import parquet

from pipelines.converting import source as source_lib
from tests.pipelines import fixtures

NUM = 60
SIZE = (12, 10)
ATTRIBUTES = ("Male", "Smiling", "Young")
KEYS = fixtures.names(NUM)


def attributes(number: int) -> list[int]:
    """Return the attributes of an image, 0 or 1."""
    return [(number >> place) & 1 for place in range(len(ATTRIBUTES))]


def landmarks(number: int) -> list[int]:
    """Return the ten coordinates of an image's points."""
    return [(number + place) % 10 for place in range(10)]


def partition(number: int) -> int:
    """Return the number of an image's split: 48, 6 and 6 images."""
    return {8: 1, 9: 2}.get(number % 10, 0)


def identity(number: int) -> int:
    """Return the number of an image's person."""
    return 100 + number // 2


def box(number: int) -> list[int]:
    """Return the box of an image's face."""
    return [number % 3, number % 2, 8, 7]


def picture(number: int, form: str = "png") -> bytes:
    """Return an image, encoded without loss."""
    buffer = io.BytesIO()
    fixtures.photo(number, SIZE).save(buffer, form)
    return buffer.getvalue()


def write_pictures(folder: str, names: list[str]) -> None:
    """Write all images under the names given, whatever these end with."""
    for number, name in enumerate(names):
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(picture(number))


def _columns() -> dict[str, tuple[tuple[str, ...], list[list[int]]]]:
    """Return names and rows of the files of CelebA, by name without suffix."""
    numbers = range(NUM)
    return {
        "list_attr_celeba": (ATTRIBUTES, [attributes(n) for n in numbers]),
        "list_eval_partition": (("partition",), [[partition(n)] for n in numbers]),
        "identity_CelebA": (("identity",), [[identity(n)] for n in numbers]),
        "list_landmarks_align_celeba": (
            source_lib.LANDMARKS,
            [landmarks(n) for n in numbers],
        ),
        "list_bbox_celeba": (
            ("x_1", "y_1", "width", "height"),
            [box(n) for n in numbers],
        ),
    }


def write_texts(folder: str) -> None:
    """Write the official text files."""
    for stem, (columns, rows) in _columns().items():
        head = [] if len(columns) == 1 else [str(NUM), " ".join(columns) + " "]
        if stem == "list_bbox_celeba":
            head[1] = "image_id " + head[1]
        if stem == "list_attr_celeba":
            rows = [[2 * value - 1 for value in row] for row in rows]
        lines = [
            f"{name} {' '.join(f'{value:3d}' for value in row)}"
            for name, row in zip(KEYS, rows, strict=True)
        ]
        fixtures.write_text(folder, f"{stem}.txt", [*head, *lines])


def write_csvs(folder: str, separator: str, end: str, begin: str, signs: bool) -> None:
    """Write the same as Kaggle does, in some dialect."""
    for stem, (columns, rows) in _columns().items():
        if stem == "list_attr_celeba" and signs:
            rows = [[2 * value - 1 for value in row] for row in rows]
        lines = [["image_id", *columns]]
        lines += [[n, *map(str, row)] for n, row in zip(KEYS, rows, strict=True)]
        text = begin + end.join(separator.join(line) for line in lines) + end
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"{stem}.csv"), "wb") as file:
            file.write(text.encode())


def official(folder: str) -> str:
    """Write CelebA as it is distributed."""
    write_pictures(os.path.join(folder, "Img", "img_align_celeba"), KEYS)
    write_texts(os.path.join(folder, "Anno"))
    return folder


def official_zip(folder: str) -> str:
    """Write the same in a zip, with what a system leaves in it."""
    inner = os.path.join(folder, "inner")
    official(inner)
    for left in ("__MACOSX/img_align_celeba/._000001.jpg", "img_align_celeba/._x.jpg"):
        os.makedirs(os.path.dirname(os.path.join(inner, left)), exist_ok=True)
        fixtures.write_text(os.path.dirname(os.path.join(inner, left)), "._1.jpg", [])
    fixtures.write_text(os.path.join(inner, "Img", "img_align_celeba"), "Thumbs.db", [])
    fixtures.write_text(inner, "desktop.ini", ["x"])
    return fixtures.pack(inner, os.path.join(folder, "celeba.zip"))


def torchvision(folder: str) -> str:
    """Write the folder that torchvision downloads: the zip stays beside the images."""
    root = os.path.join(folder, "celeba")
    write_pictures(os.path.join(root, "img_align_celeba"), KEYS)
    fixtures.pack(
        os.path.join(root, "img_align_celeba"),
        os.path.join(root, "img_align_celeba.zip"),
        "img_align_celeba/",
    )
    write_texts(root)
    return root


def kaggle(separator=",", end="\n", begin="", signs=True, nested=True):
    """Return what writes Kaggle's layout in a dialect."""

    def write(folder: str) -> str:
        inner = ("img_align_celeba",) * (1 + nested)
        write_pictures(os.path.join(folder, *inner), KEYS)
        write_csvs(folder, separator, end, begin, signs)
        return folder

    return write


def wild(folder: str) -> str:
    """Write CelebA in the wild."""
    write_pictures(os.path.join(folder, "Img", "img_celeba"), KEYS)
    write_texts(os.path.join(folder, "Anno"))
    anno = os.path.join(folder, "Anno")
    os.rename(
        os.path.join(anno, "list_landmarks_align_celeba.txt"),
        os.path.join(anno, "list_landmarks_celeba.txt"),
    )
    return folder


def celeba_hq(folder: str) -> str:
    """Write CelebAMask-HQ, with masks."""
    root = os.path.join(folder, "CelebAMask-HQ")
    names = [f"{number}.jpg" for number in range(NUM)]
    write_pictures(os.path.join(root, "CelebA-HQ-img"), names)
    fixtures.write_images(
        os.path.join(root, "CelebAMask-HQ-mask-anno", "0"), ["00000_hair.png"], SIZE
    )
    rows = [
        f"{name}  {'  '.join(str(2 * value - 1) for value in attributes(number))}"
        for number, name in enumerate(names)
    ]
    head = [str(NUM), " ".join(ATTRIBUTES)]
    fixtures.write_text(root, "CelebAMask-HQ-attribute-anno.txt", [*head, *rows])
    poses = [f"{name} 0.5 -3.25 {n}.125" for n, name in enumerate(names)]
    head = [str(NUM), "Yaw Pitch Raw"]
    fixtures.write_text(root, "CelebAMask-HQ-pose-anno.txt", [*head, *poses])
    mapping = [f"{n} {n + 7} {n + 8:06d}.jpg" for n in range(NUM)]
    head = ["idx orig_idx orig_file"]
    fixtures.write_text(root, "CelebA-HQ-to-CelebA-mapping.txt", [*head, *mapping])
    return root


def ffhq_entry(number: int, size: int = 1024) -> dict:
    """Return an image's entry in FFHQ's list, whose five points are `landmarks`."""
    points = np.array(landmarks(number), float).reshape(5, 2) * size / SIZE[0]
    face = np.zeros((68, 2))
    for begin, end, point in zip(
        (36, 42, 30, 48, 54), (42, 48, 31, 49, 55), points, strict=True
    ):
        face[begin:end] = point
    left, top, width, height = box(number)
    name = f"{number:05d}.png"
    inner = f"{number // 1000 * 1000:05d}/{name}"
    return {
        "category": "validation" if partition(number) else "training",
        "metadata": {"author": "ü"},
        "image": {
            "file_path": f"images1024x1024/{inner}",
            "pixel_size": [size, size],
            "face_landmarks": face.tolist(),
        },
        "thumbnail": {
            "file_path": f"thumbnails128x128/{inner}",
            "pixel_size": [SIZE[0], SIZE[0]],
        },
        "in_the_wild": {
            "file_path": f"in-the-wild-images/{inner}",
            "pixel_size": list(SIZE),
            "face_rect": [left, top, left + width, top + height],
            "face_landmarks": (face * SIZE[0] / size).tolist(),
        },
    }


def ffhq(folder: str, place: str = "thumbnail") -> str:
    """Write FFHQ's thumbnails, or other images of it."""
    entries = {str(number): ffhq_entry(number) for number in range(NUM)}
    names = [entry[place]["file_path"] for entry in entries.values()]
    write_pictures(folder, names)
    with open(os.path.join(folder, "ffhq-dataset-v2.json"), "w") as file:
        json.dump(entries, file)
    return folder


def ffhq_wild(folder: str) -> str:
    """Write FFHQ's images before they were cropped."""
    return ffhq(folder, "in_the_wild")


def split_folders(folder: str) -> str:
    """Write folders of splits, one of a class above them, with a table of labels."""
    names = ("Train", "valid", "TESTING")
    paths = [
        f"{names[partition(n)]}/{('other', 'Smiling')[attributes(n)[1]]}/{key}"
        for n, key in enumerate(KEYS)
    ]
    write_pictures(folder, paths)
    header = ";".join(("file_name", *ATTRIBUTES, *source_lib.LANDMARKS, "celeb_id"))
    rows = [
        ";".join(map(str, (p, *attributes(n), *landmarks(n), identity(n))))
        for n, p in enumerate(paths)
    ]
    fixtures.write_text(folder, "metadata.csv", [header, *rows])
    return folder


def _write_splits(folder: str) -> dict[str, dict[str, dict]]:
    """Write folders of splits; return each image's annotations by split and name."""
    names = ("train", "validation", "test")
    rows = {name: {} for name in names}
    for number, key in enumerate(KEYS):
        rows[names[partition(number)]][key] = values(number) | {
            "landmarks": landmarks(number)
        }
    write_pictures(folder, [f"{names[partition(n)]}/{k}" for n, k in enumerate(KEYS)])
    return rows


def image_folder_csv(folder: str) -> str:
    """Write Hugging Face's folders of images, a CSV in each split."""
    for split, rows in _write_splits(folder).items():
        names = [name for name in rows[min(rows)] if name != "landmarks"]
        lines = [",".join(["file_name", *names])]
        lines += [
            ",".join([key, *(str(row[name]) for name in names)])
            for key, row in rows.items()
        ]
        fixtures.write_text(os.path.join(folder, split), "metadata.csv", lines)
    return folder


def image_folder_json(folder: str) -> str:
    """Write the same with JSON lines: attributes are booleans, points a list."""
    for split, rows in _write_splits(folder).items():
        lines = []
        for key, row in rows.items():
            flags = {name: bool(row[name]) for name in ATTRIBUTES}
            row = {n: v for n, v in row.items() if n not in source_lib.LANDMARKS}
            lines.append(json.dumps({"file_name": f"./{key}", **row, **flags}))
        fixtures.write_text(os.path.join(folder, split), "metadata.jsonl", lines)
    return folder


def table(numbers: list[int], paths: bool = True) -> pa.Table:
    """Return some images as a table in Hugging Face's form."""
    image = pa.array(
        [{"bytes": picture(n), "path": KEYS[n] if paths else None} for n in numbers],
        pa.struct({"bytes": pa.binary(), "path": pa.string()}),
    )
    columns = {"image": image, "celeb_id": pa.array([identity(n) for n in numbers])}
    for place, name in enumerate(ATTRIBUTES):
        columns[name] = pa.array([bool(attributes(n)[place]) for n in numbers])
    columns["landmarks"] = pa.array([landmarks(n) for n in numbers])
    columns["bbox"] = pa.array([box(n) for n in numbers])
    columns["caption"] = pa.array([f"A face, {n}." * 30 for n in numbers])
    return pa.table(columns)


def _shards() -> dict[str, list[int]]:
    """Map names of shards to the images in each, two shards of training."""
    numbers = {p: [n for n in range(NUM) if partition(n) == p] for p in range(3)}
    half = len(numbers[0]) // 2
    return {
        "train-00000-of-00002": numbers[0][:half],
        "train-00001-of-00002": numbers[0][half:],
        "validation-00000-of-00001": numbers[1],
        "test-00000-of-00001": numbers[2],
    }


def hugging_face(folder: str) -> str:
    """Write a data set of Hugging Face, in row groups of seven images."""
    os.makedirs(os.path.join(folder, "data"))
    for name, numbers in _shards().items():
        path = os.path.join(folder, "data", f"{name}.parquet")
        parquet.write_table(table(numbers), path, row_group_size=7)
    return folder


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def values(number: int) -> dict:
    """Return an image's annotations by name."""
    return {
        **dict(zip(ATTRIBUTES, attributes(number), strict=True)),
        **dict(zip(source_lib.LANDMARKS, landmarks(number), strict=True)),
        "identity": identity(number),
    }


def webdataset(folder: str) -> str:
    """Write tars of images and JSON."""
    for name, numbers in _shards().items():
        path = os.path.join(folder, f"celeba-{name.replace('-of-00001', '')}.tar")
        with tarfile.open(path, "w") as archive:
            for number in numbers:
                _add(archive, KEYS[number], picture(number))
                text = json.dumps(values(number)).encode()
                _add(archive, KEYS[number].replace(".jpg", ".json"), text)
                _add(archive, f"._{KEYS[number]}", b"left by a system")
    return folder


def example(number: int) -> bytes:
    """Return an image as a serialized Example."""
    made = tf.train.Example()
    made.features.feature["image"].bytes_list.value.append(picture(number))
    made.features.feature["filename"].bytes_list.value.append(KEYS[number].encode())
    for name, value in values(number).items():
        group = "attributes/" if name in ATTRIBUTES else ""
        made.features.feature[group + name].int64_list.value.append(value)
    return made.SerializeToString()


def array_records(folder: str) -> str:
    """Write ArrayRecord files."""
    for name, numbers in _shards().items():
        path = os.path.join(folder, f"celeba-{name}.array_record")
        writer = array_record_module.ArrayRecordWriter(path, "group_size:1")
        for number in numbers:
            writer.write(example(number))
        writer.close()
    return folder


# What writes each layout into a folder and returns what --source says: the kind that
# opens it, and the writer.
LAYOUTS = {
    "official": ("celeba", official),
    "official, zip": ("celeba", official_zip),
    "torchvision": ("celeba", torchvision),
    "Kaggle": ("celeba", kaggle()),
    "Kaggle, one level, CRLF, 0/1": ("celeba", kaggle(",", "\r\n", "", False, False)),
    "Kaggle, semicolons, CR, BOM": ("celeba", kaggle(";", "\r", "\ufeff")),
    "Kaggle, tabs": ("celeba", kaggle("\t")),
    "Kaggle, spaces": ("celeba", kaggle("   ")),
    "in the wild": ("celeba_wild", wild),
    "CelebAMask-HQ": ("celeba_hq", celeba_hq),
    "FFHQ": ("ffhq", ffhq),
    "FFHQ, in the wild": ("ffhq", ffhq_wild),
    "folders of splits": ("images", split_folders),
    "Hugging Face": ("parquet", hugging_face),
    "Hugging Face's folders, CSV": ("images", image_folder_csv),
    "Hugging Face's folders, JSON lines": ("images", image_folder_json),
    "WebDataset": ("webdataset", webdataset),
    "ArrayRecord": ("array_record", array_records),
}
