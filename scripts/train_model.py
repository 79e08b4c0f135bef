"""Train one network on the training pool of one part of an experiment, with one seed."""

from reregister.provenance.door import Job, run


def main(job: Job) -> None:
    import torch

    from reregister.card import describe_data
    from reregister.data.store import ImageStore
    from reregister.losses import build_loss
    from reregister.runtime import choose_device, torch_settings
    from reregister.tables import write_frame
    from reregister.training.data import history_frame, training_data
    from reregister.training.loop import Trainer, build_optimiser
    from reregister.training.schedule import make_schedule
    from reregister.weights import build_model, make_card, save_model

    name, arguments = job.params.model["name"], job.params.model["params"]
    part, seed = job.wildcards["part"], int(job.wildcards["seed"])
    store = ImageStore.open(job.input.images, job.input.subjects)
    data = training_data(store, job.input.pairs, job.input.pool, part)
    schedule = make_schedule(job.params.schedule, len(data.pool), data.each_once)
    device = choose_device(job.params.device)
    job.device = device.type
    progress = job.progress(schedule.iterations, "steps")
    with torch_settings(job.threads, job.params.determinism, device) as job.determinism:
        torch.manual_seed(seed)
        model = build_model(name, arguments).to(device)
        optimiser = build_optimiser(model, job.params.optimiser)
        trainer = Trainer(model, build_loss(job.params.loss), data, schedule, optimiser, seed, device, progress.report)
        history, job.resumed_from = trainer.run(job.checkpoint)
    where = f"{job.wildcards['paper']}, {job.wildcards['experiment']}, part {part}, seed {seed}"
    seen = describe_data(**job.params.data, spacings=store.spacings, padding=schedule.padding)
    card = make_card(model, name, arguments, job.recipe_id, where, store.images.shape[1:], seen, schedule.precision)
    save_model(job.output.weights, job.output.card, model, card)
    frame = history_frame(history, job.wildcards["method"], part, seed, schedule.steps_per_epoch)
    write_frame(job.output.history, frame)


if __name__ == "__main__":
    run(main, globals().get("snakemake"), __file__)
