"""Published figures as data, and how one is reproduced and judged."""
