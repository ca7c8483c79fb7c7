"""SSCD, a descriptor for copy detection: a ResNet's last map, pooled by a generalised mean, projected, of length 1.

Formula: Pizzi et al. 2022, arXiv:2202.10261, and sscd/models in github.com/facebookresearch/sscd-copy-detection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

POWER = 3.0
"""Of the generalised mean, (mean of x³) to the 1/3."""
LEAST = 1e-6
"""Values below it count as this much, so that the root has a slope."""


def sscd(trunk: str = "resnet50", dims: int = 512) -> torch.nn.Module:
    """float32 [n, 3, h, w] → descriptors [n, dims] of length 1; their scalar product is the similarity of two pictures.

    Args:
        trunk: timm's architecture; a ResNet or ResNeXt.
        dims: 512; 1024 for the ResNeXt-101.
    """
    from export.torchvision_ops import import_timm

    timm = import_timm()
    import torch

    class Descriptor(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            network: Any = timm.create_model(trunk, num_classes=0, global_pool="")
            self.feature_info = network.feature_info
            self.backbone = network
            self.fc = torch.nn.Linear(network.num_features, dims)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.forward_head(self.backbone(x))

        def forward_head(self, x: torch.Tensor) -> torch.Tensor:
            pooled = x.clamp(min=LEAST).pow(POWER).mean((2, 3)).pow(1 / POWER)
            return torch.nn.functional.normalize(self.fc(pooled))

        def forward_intermediates(self, x: torch.Tensor, **options: Any) -> Any:
            return self.backbone.forward_intermediates(x, **options)

    return Descriptor()
