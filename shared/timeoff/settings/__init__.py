"""Settings: the tree (`model`) and how it is read (`load`)."""

from timeoff.settings.model import Settings

__all__ = ["Settings"]
