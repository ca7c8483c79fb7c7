from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch

from export.convert.photographs import photographs
from export.errors import UserError
from export.picture import decode
from export.reference import normalize, resize_and_crop
from export.store import Store
from export.torchvision_ops import import_timm
from export.zoo import checkpoint, placing, transformers_vit, weights
from export.zoo.backbones import resolve
from export.zoo.loaders import eager


def small(side: int) -> torch.nn.Module:
    import_timm()
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    module: torch.nn.Module = VisionTransformer(
        img_size=14 * side, patch_size=14, embed_dim=12, depth=2, num_heads=2, num_classes=0, init_values=1.0
    )
    with torch.no_grad():
        for tensor in module.parameters():
            tensor.copy_(torch.rand_like(tensor))
    return module.eval()


def exported(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """A module's tensors under the names that transformers and the exporter would have given them."""
    found: dict[str, np.ndarray] = {}
    for name, tensor in module.state_dict().items():
        values = tensor.numpy()
        parts = name.split(".")
        if name == "pos_embed":
            found |= {"onnx::Concat_1": values[:, :1], "onnx::Reshape_2": values[:, 1:]}
        elif parts[0] == "blocks":
            start, rest = f"backbone.encoder.layer.{parts[1]}.", ".".join(parts[2:])
            if "qkv" in rest:
                for part, third in zip(("query", "key", "value"), np.split(values, 3), strict=True):
                    found[f"{start}attention.attention.{part}.{parts[-1]}"] = third
                continue
            for ours, theirs in (
                ("attn.proj", "attention.output.dense"),
                ("ls1.gamma", "layer_scale1.lambda1"),
                ("ls2.gamma", "layer_scale2.lambda1"),
            ):
                rest = rest.replace(ours, theirs)
            found[start + rest] = values
        else:
            name = name.replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
            name = name.replace("cls_token", "embeddings.cls_token")
            found["backbone." + (name.replace("norm", "layernorm") if parts[0] == "norm" else name)] = values
    return found | {"decoder.final_conv.bias": np.zeros(1, np.float32), "onnx::Mul_9": np.zeros(3, np.float32)}


def test_every_tensor_finds_its_place() -> None:
    module = small(4)
    state = transformers_vit.state(exported(module), grid=(4, 4))
    assert set(state) == set(module.state_dict())
    assert transformers_vit.left_out(exported(module)) == ["decoder.final_conv.bias", "onnx::Mul_9"]
    for name, tensor in module.state_dict().items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-6)


def test_positions_are_resized_as_the_exported_graph_does_it() -> None:
    grid = small(6).state_dict()["pos_embed"][:, 1:].reshape(1, 6, 6, 12).permute(0, 3, 1, 2)
    found = transformers_vit.state(exported(small(6)), grid=(4, 4))["pos_embed"]

    def resized(antialias: bool) -> torch.Tensor:
        made = torch.nn.functional.interpolate(grid, (4, 4), mode="bicubic", antialias=antialias)
        return made.flatten(2).transpose(1, 2)

    torch.testing.assert_close(found[:, 1:], resized(False))
    assert (found[:, 1:] - resized(True)).abs().max() > 0.05


@pytest.mark.parametrize("lacking", ["onnx::Concat_1", "onnx::Reshape_2", "a square", "query"])
def test_a_file_without_what_is_needed_is_refused(lacking: str) -> None:
    tensors = exported(small(4))
    if lacking == "a square":
        tensors["onnx::Reshape_2"] = tensors["onnx::Reshape_2"][:, :15]
    else:
        del tensors[next(name for name in tensors if lacking in name)]
    with pytest.raises(UserError, match=r"does not fit|not a square grid"):
        placing.by_name(
            small(4), checkpoint.Contents("a file", transformers_vit.state(tensors, grid=(4, 4))), "", "a test"
        )


@pytest.mark.network
@pytest.mark.slow
def test_all_tokens_are_those_of_the_published_file(store: Store) -> None:
    ort = pytest.importorskip("onnxruntime")
    backbone = resolve("vit_s14_focus")
    loaded, file = eager(backbone, store), weights.fetch(backbone, store)
    assert file is not None
    model = onnx.load(file)
    last = next(n.output[0] for n in model.graph.node if n.name == "/backbone/layernorm/Add_1")
    model.graph.output.append(onnx.helper.make_tensor_value_info(last, onnx.TensorProto.FLOAT, None))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    pixels = np.stack([resize_and_crop(decode(e), loaded.preprocess) for e in photographs(store)[:4]])
    images = normalize(pixels, loaded.preprocess)
    (wanted,) = session.run([last], {"input_image": images})
    with torch.inference_mode():
        tokens = loaded.module.forward_features(torch.from_numpy(images))  # type: ignore[operator]
        features = loaded.module(torch.from_numpy(images))
    assert tokens.shape == (4, 257, 384)
    np.testing.assert_allclose(tokens.numpy(), wanted, atol=1e-4)  # values up to 10
    np.testing.assert_allclose(features.numpy(), wanted[:, 0], atol=1e-4)
    assert backbone.feature == "class token, after the last norm"
