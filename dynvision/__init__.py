"""DynVision: recurrent convolutional networks with cortical time constants and delays."""

__version__ = "1.0.0.dev0"
