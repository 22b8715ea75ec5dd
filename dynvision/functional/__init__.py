"""Pure functions: equations without state."""
