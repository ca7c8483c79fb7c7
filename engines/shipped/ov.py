"""Opens model.onnx with OpenVINO."""

import openvino


def network(file, options):
    """A function from the input, float32 [1, ...], to the outputs by name."""
    core = openvino.Core()
    model = core.read_model(str(file))
    [given] = model.inputs
    model.reshape([1, *list(given.partial_shape)[1:]])
    compiled = core.compile_model(model, options["device"], options["settings"])
    request, names = compiled.create_infer_request(), [output.any_name for output in compiled.outputs]

    def run(values):
        found = request.infer([values])
        return {name: found[name].copy() for name in names}

    return run
