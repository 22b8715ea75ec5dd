"""DynVision: recurrent convolutional networks with cortical time constants and delays."""

__version__ = "0.1.0"
