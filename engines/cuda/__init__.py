"""The one place that touches NVIDIA's driver."""
