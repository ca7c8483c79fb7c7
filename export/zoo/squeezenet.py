"""SqueezeNet 1.1, which timm does not have: torchvision's network with those of timm's methods that an export needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_LAST_AT_STRIDE = {"4": 4, "7": 8, "12": 16}
"""Names, in torchvision's ``features``, of the layers after which a pooling or nothing comes."""


def squeezenet1_1() -> torch.nn.Module:
    """float32 [n, 3, h, w] → class scores [n, 1000]; after ``reset_classifier(0)`` features [n, 512], the mean over the
    last map before the classifier.

    Poolings drop what does not fill a window (``ceil_mode=False``), as Keras does; torchvision keeps it.
    """
    from export.torchvision_ops import import_torchvision

    import_torchvision()
    import torch
    from torchvision.models import SqueezeNet

    class WithFeatures(SqueezeNet):  # type: ignore[misc]
        feature_info = tuple({"reduction": stride} for stride in _LAST_AT_STRIDE.values())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.forward_head(self.features(x))

        def forward_head(self, x: torch.Tensor) -> torch.Tensor:
            return torch.flatten(self.classifier(x), 1)

        def forward_intermediates(self, x: torch.Tensor, output_fmt: str = "NCHW") -> Any:
            found = []
            for name, layer in self.features.named_children():
                x = layer(x)
                if name in _LAST_AT_STRIDE:
                    found.append(x)
            return x, found

        def reset_classifier(self, num_classes: int) -> None:
            if num_classes:
                raise ValueError("It is taken off, and not made anew.")
            self.classifier = torch.nn.AdaptiveAvgPool2d((1, 1))

    module = WithFeatures("1_1")
    for layer in module.features:
        if isinstance(layer, torch.nn.MaxPool2d):
            layer.ceil_mode = False
    return module
