"""What is in order and what is not, before hours are spent: a line for each check."""
