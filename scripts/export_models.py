"""Export the networks that an experiment trained as ONNX, each beside its weights: all in one process."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    from reregister.export import trace, write_onnx
    from reregister.provenance.files import canonical_json
    from reregister.weights import load_model, load_tensors

    progress = job.progress(len(job.input.weights), "networks")
    graphs = {}
    for weights, path in zip(job.input.weights, job.output.models, strict=True):
        _, card = load_tensors(weights)
        model = load_model(weights, card["architecture"], card["params"])
        # Networks that differ in seed or part alone are one computation.
        kind = canonical_json([card["architecture"], card["params"], card["image_shape"]])
        if kind not in graphs:
            graphs = {kind: trace(model, card["image_shape"])}
        about = {key: str(card[key]) for key in ("architecture", "trained_on", "recipe_id")}
        write_onnx(graphs[kind], model, path, about)
        progress.advance()


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
