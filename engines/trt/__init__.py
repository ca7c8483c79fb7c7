"""TensorRT and TensorRT-RTX: one code for both. What touches the driver lies in ``engines.cuda``, not here."""
