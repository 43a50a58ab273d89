"""clasp-bench: pre-train backbones on unlabelled photos of people, transfer them, and compare them in one table."""

__version__ = "0.1.0"
