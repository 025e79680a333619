"""MGCN: Yu, Tan, Lu, Bao, Multi-View Graph Convolutional Network for Multimedia Recommendation, ACM MM 2023, arXiv
2308.03588."""

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import Nodes, cosine_graph, smoothed
from recmodels.models.parts.modalities import modalities
from recmodels.models.sided import SidedRecommender
from recmodels.signatures import CountFromOne


class MGCN(SidedRecommender):
    """Ids, plus what the modalities have in common and what in each of them the ids ask for.

    Features are gated by the ids of their items, smoothed over the modality's item graph and passed on to users. What
    the modalities share is an attention over them; the rest of each is gated by the propagated ids. As in the
    benchmark: features train as tables, while item graphs come from the features of the data set; the shared part is
    divided by the number of modalities plus one together with the others (the paper: only the others, by their number);
    penalties are of the final representations. With one modality nothing is to be weighed: the side is half its view.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_ui_layers: int = 2,
        n_mm_layers: int = 1,
        knn_k: int = 10,
        cl_weight: float = 0.01,
        reg_weight: float = 1e-4,
        reg_batch_size: CountFromOne = 2048,
    ):
        names, size = modalities(data, "MGCN"), embedding_size
        super().__init__(
            data,
            names,
            embedding_size=size,
            n_ui_layers=n_ui_layers,
            cl_weight=cl_weight,
            reg_weight=reg_weight,
            reg_batch_size=reg_batch_size,
        )
        self.n_mm_layers, self.n_modalities = n_mm_layers, len(names)
        self.gates = nn.ModuleDict({name: nn.Linear(size, size) for name in names})
        if len(names) > 1:
            self.query = nn.Sequential(nn.Linear(size, size), nn.Tanh(), nn.Linear(size, 1, bias=False))
            self.preferences = nn.ModuleDict({name: nn.Linear(size, size) for name in names})
        self.item_graphs = nn.ModuleDict({name: cosine_graph(data, name, knn_k) for name in names})

    def views(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        views = []
        for name, graph in self.item_graphs.items():
            gated = self.item_emb * torch.sigmoid(self.gates[name](self.content[name]()))
            views.append(smoothed(graph, gated, self.n_mm_layers))
        return self.around(torch.cat(views, dim=1), nodes)

    def side(self, ids: Tensor, views: Tensor) -> Tensor:
        if self.n_modalities == 1:
            return views / 2
        each = views.unflatten(1, (self.n_modalities, -1))  # (n, M, D)
        common = (torch.softmax(self.query(each), dim=1) * each).sum(dim=1)
        total = common
        for preference, view in zip(self.preferences.values(), each.unbind(1), strict=True):
            total = total + torch.sigmoid(preference(ids)) * (view - common)
        return total / (self.n_modalities + 1)
