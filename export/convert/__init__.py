"""From a module to an fp32 ONNX file, compared with the module on real photographs."""
