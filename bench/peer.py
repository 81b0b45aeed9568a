"""Times the reference, circuit-tracer with its TransformerLens backend, on a synthetic checkpoint of this folder: loading,
forward passes, attribution and pruning, in this process. Prints one JSON object: seconds, and the peak memory in bytes.

usage: python peer.py CHECKPOINT --tokens 2,1000,8919 [--nodes 2048] [--batch-size 256] [--threads 2] [--passes 3]

Needs Python 3.11 with torch, transformer-lens, transformers and circuit-tracer (bench/README.md has the versions).
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint", type=Path)
parser.add_argument("--tokens", required=True)
parser.add_argument("--nodes", type=int, default=2048)
parser.add_argument("--batch-size", type=int, default=256)
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--passes", type=int, default=3)
options = parser.parse_args()
os.environ["OMP_NUM_THREADS"] = str(options.threads)
os.environ["TRANSFORMERS_OFFLINE"] = os.environ["HF_HUB_OFFLINE"] = "1"

import torch  # noqa: E402
from circuit_tracer.attribution.attribute import attribute  # noqa: E402
from circuit_tracer.graph import prune_graph  # noqa: E402
from circuit_tracer.replacement_model.replacement_model_transformerlens import TransformerLensReplacementModel  # noqa: E402
from circuit_tracer.transcoder.single_layer_transcoder import load_transcoder_set  # noqa: E402
from transformer_lens import HookedTransformerConfig  # noqa: E402
from transformer_lens.pretrained.weight_conversions import convert_gemma_weights  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402

torch.set_num_threads(options.threads)
DTYPE = torch.float32


def hooked_config(folder: Path) -> HookedTransformerConfig:
    """TransformerLens' dictionary for Gemma-2-2B with the numbers of this checkpoint."""
    hf = AutoConfig.from_pretrained(str(folder))
    kinds = {"sliding_attention": "local", "full_attention": "global"}
    return HookedTransformerConfig.from_dict(
        dict(
            model_name="gemma-2",
            original_architecture="Gemma2ForCausalLM",
            tokenizer_name=str(folder),
            d_model=hf.hidden_size,
            d_head=hf.head_dim,
            n_heads=hf.num_attention_heads,
            n_key_value_heads=hf.num_key_value_heads,
            d_mlp=hf.intermediate_size,
            n_layers=hf.num_hidden_layers,
            n_ctx=hf.max_position_embeddings,
            eps=hf.rms_norm_eps,
            d_vocab=hf.vocab_size,
            d_vocab_out=hf.vocab_size,
            act_fn="gelu_pytorch_tanh",
            normalization_type="RMS",
            rotary_base=hf.rope_theta,
            rotary_dim=hf.head_dim,
            positional_embedding_type="rotary",
            use_attn_scale=True,
            attn_scale=float(hf.query_pre_attn_scalar) ** 0.5,
            window_size=hf.sliding_window,
            use_local_attn=True,
            attn_types=[kinds[kind] for kind in hf.layer_types],
            attn_scores_soft_cap=hf.attn_logit_softcapping,
            output_logits_soft_cap=hf.final_logit_softcapping,
            gated_mlp=True,
            final_rms=True,
            use_normalization_before_and_after=True,
            init_weights=False,
            default_prepend_bos=True,
            device="cpu",
            dtype=DTYPE,
            seed=None,
        )
    )


def load_model(folder: Path) -> TransformerLensReplacementModel:
    """As from_pretrained does with fold_ln=False, center_writing_weights=False, center_unembed=False."""
    model = TransformerLensReplacementModel(hooked_config(folder))
    hf = AutoModelForCausalLM.from_pretrained(str(folder), dtype=DTYPE, attn_implementation="eager").eval()
    state = {name: value.clone() for name, value in convert_gemma_weights(hf, model.cfg).items()}
    model.load_and_process_state_dict(
        state,
        fold_ln=False,
        center_writing_weights=False,
        center_unembed=False,
        fold_value_biases=True,
        refactor_factored_attn_matrices=False,
    )
    return model.to(DTYPE).eval()


def timed(work):
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def load():
    folder = options.checkpoint / "transcoders"
    files = {i: str(folder / f"layer_{i}.safetensors") for i in range(len(list(folder.glob("layer_*.safetensors"))))}
    transcoders = load_transcoder_set(
        files,
        scan="bench",
        feature_input_hook="ln2.hook_normalized",
        feature_output_hook="hook_mlp_out",
        dtype=DTYPE,
        device=torch.device("cpu"),
        lazy_encoder=False,
        lazy_decoder=False,
    )
    model = load_model(options.checkpoint / "model")
    model._configure_replacement_model(transcoders)
    return model


tokens = torch.tensor([int(token) for token in options.tokens.split(",")])
model, load_seconds = timed(load)
pass_seconds = []
with torch.no_grad():
    for _ in range(options.passes):
        pass_seconds.append(timed(lambda: model(tokens.unsqueeze(0)))[1])
graph, attribute_seconds = timed(
    lambda: attribute(
        tokens,
        model,
        max_n_logits=10,
        desired_logit_prob=0.95,
        batch_size=options.batch_size,
        max_feature_nodes=options.nodes,
        verbose=False,
    )
)
_, prune_seconds = timed(lambda: prune_graph(graph, 0.8, 0.98))
report = {
    "torch": torch.__version__,
    "threads": options.threads,
    "load_seconds": load_seconds,
    "pass_seconds": pass_seconds,
    "attribute_seconds": attribute_seconds,
    "prune_seconds": prune_seconds,
    "active_features": int(graph.active_features.shape[0]),
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}
json.dump(report, sys.stdout)
