"""Fit, judge and log the candidates of a grid."""

from penguins.moved import forward

__getattr__ = forward(__name__, {name: f"penguins.training.training:{name}" for name in ("grid_train", "open_run")})
