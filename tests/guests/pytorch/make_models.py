"""Writes what PyTorch writes: TorchScript, exported programs, and a state_dict, which has no code."""

# pyright: basic, reportMissingImports=false, reportMissingModuleSource=false, reportAttributeAccessIssue=false
# The library is in the environment of the guest alone, and pyright takes this folder for it.
import json
import sys
from pathlib import Path

import torch

folder = Path(sys.argv[1])
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3)).eval()
rows = torch.randn(40, 4)
image = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
images = torch.randn(3, 3, 8, 8)


class Two(torch.nn.Module):
    def forward(self, ids, weights):
        return {"sum": (ids * weights).sum(1), "most": ids.max(1).values}


ids, weights = torch.arange(12).reshape(4, 3), torch.randn(4, 3)
rows_dim = torch.export.Dim("rows", min=1, max=100_000)
torch.jit.save(torch.jit.script(net), folder / "model.pt")
torch.jit.save(torch.jit.script(image), folder / "image.pt")
torch.export.save(
    torch.export.export(net, (rows[:2],), dynamic_shapes=({0: rows_dim},)),
    folder / "model.pt2",
)
torch.export.save(torch.export.export(net, (rows[:1],)), folder / "single.pt2")
torch.export.save(
    torch.export.export(Two(), (ids, weights), dynamic_shapes=({0: rows_dim}, {0: rows_dim})), folder / "two.pt2"
)
torch.save(net.state_dict(), folder / "weights.pt")

with torch.inference_mode():
    answer = net(rows).tolist()
    cases = {
        "torchscript": ("model.pt", rows.tolist(), answer),
        "torchscript-image": ("image.pt", images.tolist(), image(images).tolist()),
        "exported": ("model.pt2", rows.tolist(), answer),
        "exported-one-row": ("single.pt2", rows.tolist(), answer),
        "exported-two-inputs": (
            "two.pt2",
            [{"ids": one, "weights": other} for one, other in zip(ids.tolist(), weights.tolist(), strict=True)],
            {name: value.tolist() for name, value in Two()(ids, weights).items()},
        ),
        "state-dict": ("weights.pt", [], []),
    }
(folder / "cases.json").write_text(
    json.dumps(
        {
            name: {"file": file, "framework": "pytorch", "ask": ask, "answer": answer}
            for name, (file, ask, answer) in cases.items()
        }
    )
)
