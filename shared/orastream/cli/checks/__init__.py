"""What is measured and judged of a node: doctor's findings, trials, recordings."""
