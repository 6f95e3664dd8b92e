"""What the export programs share."""
