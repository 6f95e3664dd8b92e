"""What networks make of images, and distances of sets of images by that."""
