"""What cells are made of, under the names of the page that :mod:`dynvision.neurons` names: PyTorch's own.

`Module` registers parameters on assignment and moves them with ``to()``; `Parameter` is a tensor that learns. Both pages,
that one and PyTorch's, promise the same, so that these are other names and not other classes.
"""

from __future__ import annotations

from torch import nn

BaseModule = nn.Module
Module = BaseModule
Parameter = nn.Parameter
Linear = nn.Linear
