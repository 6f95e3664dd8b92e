"""From a source of images to checked, sharded TFRecords."""
