"""Finding objects on frozen maps: a small head without anchors, its training, its ONNX graph, and how it is judged."""
