"""Names of the files in a run's ``checkpoints/``.

best.ckpt         of the epoch that is best by validation
last.ckpt         of an unfinished training, also within an epoch; removed at its end
epoch-0005.ckpt   of every n-th epoch, where the configuration asks for them
"""

BEST, LAST = "best.ckpt", "last.ckpt"


def epoch_file(epoch: int) -> str:
    """The file of an epoch, counted from 1."""
    return f"epoch-{epoch:04d}.ckpt"
