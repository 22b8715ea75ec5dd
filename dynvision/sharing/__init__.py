"""Trained networks and finished studies for others: one folder, the Hugging Face hub, an RO-Crate, Brain-Score."""

from dynvision.sharing.folder import Shared, export_folder, push

__all__ = ["Shared", "export_folder", "push"]
