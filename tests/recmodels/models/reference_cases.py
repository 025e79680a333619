"""How the models' golden files map to the models: hyper-parameters, features, parameter -> array."""

from dataclasses import dataclass, field
from typing import Any

import torch

from recmodels.models import MODELS, Recommender
from tests.recmodels import reference as golden

SHORT = {"image": "v", "text": "t"}
LONG = {"image": "visual", "text": "text"}


@dataclass
class Case:
    """`hyper`: our keyword -> their name. `parameters`: ours -> theirs. `loose`: where float32 cancels, how much.
    `gradients`: the arrays' prefix; those of the reference's float32 run are less exact than ours in one model.
    `fixed`: keywords of the file's main run that it does not hold."""

    hyper: dict[str, str]
    parameters: dict[str, str]
    prefix: dict[str, str] = field(default_factory=dict)
    loose: dict[str, float] = field(default_factory=dict)
    gradients: str = "grad"
    fixed: dict[str, Any] = field(default_factory=dict)

    def arrays(self) -> dict[str, str]:
        """Parameter -> array, for both modalities."""
        filled: dict[str, str] = {}
        for ours, theirs in self.parameters.items():
            for modality in self.prefix if "{}" in ours else [""]:
                filled[ours.format(modality)] = theirs.format(self.prefix.get(modality))
        return filled


def same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


def linear(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}_{part}" for part in ("weight", "bias")}


EMBEDDINGS = same("user_emb", "item_emb")
TABLES = {"content.{}.table": "{}_table", **linear("content.{}.projection", "{}_proj")}
PERCEPTRONS = {
    **linear("views.perceptrons.{}.0", "{}_mlp1"),
    **linear("views.perceptrons.{}.2", "{}_mlp2"),
}
SIDED = same("embedding_size", "n_ui_layers", "n_mm_layers", "reg_weight", "cl_weight", "reg_batch_size")
CASES = {
    "BPR": Case(same("embedding_size", "reg_weight"), EMBEDDINGS),
    "LightGCN": Case(same("embedding_size", "n_layers", "reg_weight"), EMBEDDINGS),
    "LayerGCN": Case(same("embedding_size", "n_layers", "reg_weight", "dropout"), EMBEDDINGS),
    "SelfCF": Case(
        same("embedding_size", "n_layers", "reg_weight", "dropout"), EMBEDDINGS | linear("predictor", "predictor")
    ),
    "VBPR": Case(
        same("embedding_size", "reg_weight"),
        {
            "user_emb": "user_embedding",
            "item_emb": "item_embedding",
            "weight": "item_projection_weight",
            "bias": "item_projection_bias",
        },
        loose={"bias": 1e-4},  # a sum that cancels to rounding noise
    ),
    "GRCN": Case(
        same("embedding_size", "latent_embedding", "n_layers", "reg_weight"),
        {
            "ids": "id_embedding",
            "confidence": "confidence",
            "content.{}.preference": "{}_preference",
            "content.{}.weight": "{}_mlp_weight",
            "content.{}.bias": "{}_mlp_bias",
        },
        SHORT,
    ),
    "BM3": Case(
        same("embedding_size", "n_layers", "reg_weight", "cl_weight", "dropout"),
        EMBEDDINGS | linear("predictor", "predictor") | TABLES,
        LONG,
    ),
    "FREEDOM": Case(
        same("embedding_size", "reg_weight", "n_mm_layers", "n_ui_layers", "knn_k", "mm_image_weight", "dropout"),
        EMBEDDINGS | TABLES,
        LONG,
    ),
    "DRAGON": Case(
        same("embedding_size", "reg_weight", "n_mm_layers", "knn_k", "mm_image_weight", "user_graph_k"),
        {"user_weights": "user_modality_weight", "views.preferences.{}": "{}_user_pref"} | PERCEPTRONS,
        LONG,
    ),
    "DualGNN": Case(
        same("embedding_size", "reg_weight", "user_graph_k"),
        {
            "user_weights": "user_modality_weight",
            "item_weights": "item_modality_weight",
            "views.preferences.{}": "{}_preference",
        }
        | PERCEPTRONS,
        SHORT,
    ),
    "MMGCF": Case(
        same("embedding_size", "reg_weight", "n_ui_layers", "dropout"),
        EMBEDDINGS | linear("content.{}.projection", "{}_proj"),
        LONG,
    ),
    "MMGCN": Case(
        same("embedding_size", "reg_weight") | {"latent_size": "visual_latent_dim"},
        linear("branches.image.projection", "v_mlp")
        | {
            f"branches.{{}}.{ours}.{part}": f"{{}}_{theirs}{number}_{their_part}"
            for number, layer in ((1, "first"), (2, "second"), (3, "last"))
            for ours, theirs, part, their_part in (
                (layer, "conv", "convolve", "weight"),
                (f"{layer}.own", "self", "weight", "weight"),
                (f"{layer}.own", "self", "bias", "bias"),
                (f"{layer}.fuse", "fuse", "weight", "weight"),
                (f"{layer}.fuse", "fuse", "bias", "bias"),
            )
        },
        SHORT,
    ),
    "MVGAE": Case(
        same("embedding_size", "kl_weight", "dropout"),
        {
            f"{ours}.{layer}.{part}": f"{theirs}_{their_layer}_{part}"
            for ours, theirs in {"content.image": "visual", "content.text": "text", "collaborative": "id"}.items()
            for layer, their_layer in {
                "mlp": "mlp",
                "conv": "conv1",
                "mix": "mix1",
                **{
                    f"{head}.{layer}": f"{layer}_{their_head}"
                    for head, their_head in (("mean", "mu"), ("log_variance", "logvar"))
                    for layer in ("conv", "own", "mix")
                },
            }.items()
            for part in ("weight", "bias")
        },
        fixed={"noise_scale": 0.0, "variant": "benchmark"},
    ),
    "PGL": Case(
        same("embedding_size", "reg_weight", "n_mm_layers", "n_ui_layers", "knn_k", "mm_image_weight", "dropout"),
        {"preferences.{}": "{}_user_emb"} | TABLES,
        LONG,
    ),
    "SLMRec": Case(
        same("embedding_size", "n_layers", "temp", "ssl_temp", "ssl_alpha"),
        EMBEDDINGS
        | linear("content.{}.projection", "{}_proj")
        | linear("user_fusion", "user_fusion")
        | linear("item_fusion", "item_fusion")
        | linear("alignment.ids", "fac_id")
        | linear("alignment.first", "fac_visual")
        | linear("alignment.maps.0", "fac_mid")
        | linear("alignment.narrow", "fac_chain")
        | linear("alignment.last", "fac_text"),
        LONG,
    ),
    "DAMRS": Case(
        same(
            *("embedding_size", "n_ui_layers", "n_mm_layers", "knn_k", "kl_weight", "neighbor_weight"),
            *("behaviour_k", "behaviour_min"),
        ),
        EMBEDDINGS,
        gradients="grad64",
    ),
    "LATTICE": Case(
        same(
            *("embedding_size", "n_ui_layers", "n_mm_layers", "knn_k", "lambda_coeff"),
            *("reg_weight", "reg_batch_size"),
        )
        | {"feat_embed_dim": "embedding_size"},
        EMBEDDINGS | TABLES | same("modal_weight"),
        LONG,
        loose={"modal_weight": 1e-4},  # the modalities nearly cancel
    ),
    "LGMRec": Case(
        same(
            *("embedding_size", "n_ui_layers", "n_mm_layers", "n_hyper_layers", "hyper_num"),
            *("keep_rate", "cl_weight", "reg_weight"),
        )
        | {"hyper_weight": "alpha"},
        EMBEDDINGS | {"content.{}.projection": "{}_proj", "content.{}.hyperedges": "{}_hyper"},
        LONG,
    ),
    "MGCN": Case(
        SIDED | same("knn_k"),
        EMBEDDINGS
        | TABLES
        | linear("gates.{}", "{}_gate")
        | linear("preferences.{}", "{}_pref_gate")
        | linear("query.0", "query1")
        | {"query.2.weight": "query2_weight"},
        LONG,
    ),
    "SMORE": Case(
        SIDED | same("visual_knn_k", "text_knn_k", "dropout"),
        EMBEDDINGS
        | TABLES
        | linear("queries.{}.0", "{}_query1")
        | {"queries.{}.2.weight": "{}_query2_weight", "filters.{}": "{}_filter", "filters.(fused)": "fusion_filter"}
        | linear("gates.{}", "{}_gate")
        | linear("gates.(fused)", "fusion_gate")
        | linear("preferences.{}", "{}_pref_gate")
        | linear("preferences.(fused)", "fusion_pref_gate"),
        LONG,
    ),
}
"""A `{}` in a name stands for each modality."""
FROZEN = {
    "ids": "fixed_id_embedding",
    "branches.image.preference": "fixed_v_preference",
    "branches.text.preference": "fixed_t_preference",
}
"""Parameters that MMGCN draws and never trains in the benchmark: ours -> array."""
OTHER_FORMS = {"gate": "param_modal_gate"} | {
    f"{ours}.map.{part}": f"param_{ours}_{part}" for ours in ("content_fusion", "fusion") for part in ("weight", "bias")
}
"""Parameters that MMGCF has in other forms than its default one: ours -> array."""


def build(name: str, z: dict[str, Any], *features: str, **changes: Any) -> Recommender:
    """The model with the file's hyper-parameters and weights, on a data set with the named features (default: all)."""
    case = CASES[name]
    present = (features or SHORT) if "v_feat" in z else ()
    chosen = {modality: z[f"{SHORT[modality]}_feat"] for modality in present}
    hyper = {ours: z[f"hp_{theirs}"].item() for ours, theirs in case.hyper.items()}
    model = MODELS[name](golden.dataset(z, **chosen), **hyper | case.fixed | changes).to(torch.get_default_dtype())
    arrays = FROZEN | OTHER_FORMS | {ours: f"param_{theirs}" for ours, theirs in case.arrays().items()}
    weights = {ours: torch.from_numpy(z[arrays[ours]]).reshape(p.shape) for ours, p in model.named_parameters()}
    model.load_state_dict(model.state_dict() | weights)
    return model


def total(model: Recommender, z: dict[str, Any]) -> torch.Tensor:
    return torch.stack(list(model.loss(golden.batch(z)).values())).sum()


def scores(model: Recommender) -> torch.Tensor:
    users, items = model.embed()
    return users @ items.T
