"""Running the workflow on SLURM, and checking a machine or a cluster before hours are spent."""
