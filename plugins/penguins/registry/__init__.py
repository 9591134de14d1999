"""Versions of the registered model: find, create and load them, and export them to ONNX."""

from penguins.moved import forward

__getattr__ = forward(
    __name__,
    {
        name: f"penguins.registry.model_versions:{name}"
        for name in ("load", "model_id", "production", "recorded_digests", "version", "versions")
    },
)
