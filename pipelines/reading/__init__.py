"""Reading: from TFRecord shards to batches of a `tf.data.Dataset`.

An epoch is computed, not remembered: which example comes when, how it is augmented and
corrupted follow from (seed, epoch, position), so that training resumes at any step and
sees what an uninterrupted run would see.

    data_set.py        a converted data set with its settings, as training is given it
    dataset.py         train_batches, eval_batches: where all of this is put together
    epochs.py          the batches of training, epoch after epoch
    global_shuffle.py  --shuffle=global: a permutation of all examples, by position
    block_shuffle.py   --shuffle=blocks: long runs of records, mixed within a buffer
    readers.py         a split opened: examples by number, from the shards or memory
    device_cache.py    --cache=device: the training images where the step takes them
    native/            images out of TFRecords: the C++ op and its TensorFlow twin
    bad_records.py     damaged records: named, counted, skipped (--max_bad_records)
    batch.py           one batch: cropped, flipped, augmented, corrupted, scaled
    crop.py            window, mirroring and type of a batch's images
    augment.py         augmentation: shift, zoom, brightness, contrast, saturation
    corruption.py      noise, dropped pixels, occlusion, grayscale, for denoising
    pixels.py          arithmetic that both share
    counter_rng.py     the random numbers of each position
"""
