"""The report: one HTML file, made for a reader. It reads tables and figures, and loads no plotting library."""

from dynvision.report.page import write_report

__all__ = ["write_report"]
