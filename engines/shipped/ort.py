"""Opens model.onnx with ONNX Runtime."""

import onnxruntime


def network(file, options):
    """A function from the input, float32 [1, ...], to the outputs by name."""
    settings = onnxruntime.SessionOptions()
    for name, value in options["session"].items():
        settings.add_session_config_entry(name, value)
    session = onnxruntime.InferenceSession(str(file), settings, providers=[options["provider"]])
    names = [output.name for output in session.get_outputs()]
    [given] = session.get_inputs()
    return lambda values: dict(zip(names, session.run(names, {given.name: values}), strict=True))
