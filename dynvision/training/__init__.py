"""Training one run: from a frozen configuration to weights, a log and a test."""
