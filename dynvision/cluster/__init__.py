"""Running the workflow on SLURM: the head job, its profile, and what is looked up in the queue."""
