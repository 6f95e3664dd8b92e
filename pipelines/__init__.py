"""From image files to batches: sources, conversion to TFRecords, tf.data input."""
