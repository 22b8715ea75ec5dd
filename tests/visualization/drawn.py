"""What tests read of a figure that was drawn."""

from matplotlib.patches import Rectangle

from dynvision.config.visualization import FIGURES


def draw(name, made):
    return FIGURES[name](made.tables, made.comparison, made.style)


def panels(figure):
    return [axes for axes in figure.axes if axes.axison]


def curves(axes):
    """Lines with data, as arrays (N, 2), without guides and levels."""
    return [
        line.get_xydata() for line in axes.lines if len(line.get_xydata()) > 2 or line.get_marker() != "None"
    ]


def bars(axes):
    return [(p.get_x(), p.get_x() + p.get_width()) for p in axes.patches if isinstance(p, Rectangle)]
