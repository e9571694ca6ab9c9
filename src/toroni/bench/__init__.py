"""`toroni bench`: ours and others, in the same workloads between real processes, alternating in one run."""
