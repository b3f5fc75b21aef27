"""What turns the embedded events of a user into states: one file per backbone."""

from shoploom.engines.neural.backbones.backbone import BACKBONES, Backbone, Shape

__all__ = ["BACKBONES", "Backbone", "Shape"]
