"""What the benchmark programs and the doctor share."""
