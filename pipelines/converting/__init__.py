"""Conversion: from a source of images to TFRecord shards and their manifest.

The same source and settings give the same bytes, whatever the number of worker
processes; an interrupted conversion resumes where it was.

    source.py      what each kind of source gives: splits, and items small enough to
                   pickle (`pipelines.sources` opens them)
    plan.py        source + ConvertConfig -> what will be written, and how large
    conversion.py  plan -> shards, index and manifest: parallel, resumable
    journal.py     what of an unfinished conversion is done
    workers.py     the pool of worker processes, which never import TensorFlow
    images.py      one picture: open safely, orient, crop, resize, encode (Pillow)
    jpeg_draft.py  JPEGs decoded no further than needed (Pillow's draft mode)
    metadata.py    TFDS' own metadata beside the shards
"""
