"""What learns, from which step on, and that nothing of the way is cut off."""

import pytest
import torch
from peft import get_peft_model

import hyperadapters as ha
from pairwise import pairwise
from staged import FAMILIES, KINDS, STAGES, TWO_KINDS, WRITING, described, source_only, written_from

pytestmark = pytest.mark.filterwarnings("ignore:Version v4.12.0:FutureWarning")


@pairwise(family=["T5", "BART"], stages=STAGES, kind=KINDS)
def test_every_tensor_learns_at_the_first_step(zoo, adapted, family, stages, kind):
    model, batch = adapted(family, stages, kind, random=False)
    with torch.no_grad(), model.disable_adapter():
        plain = model(**batch).logits
    labels = batch["decoder_input_ids"]
    output = model(**source_only(batch), decoder_input_ids=labels, labels=labels.flip(1))
    change = (output.logits - plain).abs().max()
    assert change < 1e-2 if KINDS[kind][0] == "hyperdecoder" else change < 1e-5
    output.loss.backward()
    network = ha.adapter_network(model)
    still = {
        name
        for name, parameter in network.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    }
    unexplained = {name for name in still if not starts_still(name, stages)}
    assert unexplained == set()


def starts_still(name, stages):
    """What learns only when something else has moved: the adapters of a first pass.

    They act through vectors alone, and with a start of no change at all the vectors do not count
    yet.
    """
    return stages != "encoder" and name.startswith("sources.0.")


@pytest.mark.parametrize("stages", ["first-pass", "both"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_first_pass_learns_from_the_second_step_on(adapted, stages, kind):
    model, batch = adapted("T5", stages, kind, random=False)
    network = ha.adapter_network(model)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    labels = batch["decoder_input_ids"]
    for _ in range(2):
        optimizer.zero_grad()
        model(**source_only(batch), labels=labels).loss.backward()
        optimizer.step()
    assert all(p.grad.abs().max() > 0 for p in network.parameters())


@pairwise(family=["BART", "EncoderDecoder"], stages=STAGES, kind=TWO_KINDS)
def test_gradients_against_differences(zoo, adapted, exact, family, stages, kind):
    # Of the adapters that the vectors are made with: nothing of the way may be cut off.
    model, batch = adapted(family, stages, kind)
    model.double()
    network, labels = ha.adapter_network(model), batch["decoder_input_ids"]

    def loss():
        return model(**source_only(batch), labels=labels).loss

    loss().backward()
    generator = torch.Generator().manual_seed(3)
    for source in network.sources:
        parameters = list(source.parameters())
        steps = [
            torch.randn(p.shape, generator=generator, dtype=p.dtype) / p.numel() ** 0.5
            for p in parameters
        ]
        slope = sum((p.grad * s).sum() for p, s in zip(parameters, steps, strict=True))
        values = []
        with torch.no_grad():
            for sign in (1, -2):
                for p, s in zip(parameters, steps, strict=True):
                    p.add_(s, alpha=sign * 1e-6)
                values.append(loss())
            for p, s in zip(parameters, steps, strict=True):
                p.add_(s, alpha=1e-6)
        found = (values[0] - values[1]) / 2e-6
        torch.testing.assert_close(found, slope, rtol=1e-3, atol=1e-6)


def test_the_vector_carries_gradient_to_the_encoder(adapted):
    model, batch = adapted("T5", "encoder", "published")
    seen, labels = written_from(model, "encoded"), batch["decoder_input_ids"]
    gradients = []
    for cut in (False, True):
        model.zero_grad()
        given = {"encoded": seen[-1].detach()} if cut else {}
        model(**source_only(batch), labels=labels, **given).loss.backward()
        source = ha.adapter_network(model).sources[0]
        gradients.append(torch.cat([p.grad.flatten() for p in source.parameters()]))
    assert (gradients[0] - gradients[1]).norm() > 0.01 * gradients[0].norm()


@pairwise(family=FAMILIES, stages=STAGES, kind=TWO_KINDS)
def test_checkpoints_give_the_same_gradients(adapted, exact, family, stages, kind):
    gradients = []
    for checkpointing in (False, True):
        model, batch = adapted(family, stages, kind)
        model.double().train()
        if checkpointing:
            model.get_base_model().activation_checkpointing_enable()
        labels = batch["decoder_input_ids"]
        # Two calls before one step: each has its own weights.
        other = {name: value.roll(1, dims=0) for name, value in source_only(batch).items()}
        losses = [
            model(**given, labels=labels, use_cache=False).loss
            for given in (source_only(batch), other)
        ]
        sum(losses).backward()
        gradients.append([p.grad for p in ha.adapter_network(model).parameters()])
    for without, with_it in zip(*gradients, strict=True):
        torch.testing.assert_close(with_it, without, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", FAMILIES)
def test_autocast(zoo, adapted, family, kind):
    model, batch = adapted(family, "both", kind)
    for parameter in ha.adapter_network(model).parameters():
        parameter.data.mul_(0.5)
    labels = batch["decoder_input_ids"]
    wanted = model(**source_only(batch), labels=labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = model(**source_only(batch), labels=labels)
        with torch.no_grad():
            model.generate(**zoo.make_texts(), num_beams=2, **WRITING)
    assert (got.loss - wanted.loss).abs() < 0.1 * wanted.loss
    got.loss.backward()
    for parameter in ha.adapter_network(model).parameters():
        assert parameter.grad.dtype == torch.float32 and parameter.grad.isfinite().all()


@pairwise(family=FAMILIES, stages=STAGES, kind=TWO_KINDS)
def test_beside_a_backbone_in_half_precision(zoo, adapted, family, stages, kind):
    case = zoo.Case(family, "SEQ_2_SEQ_LM")
    backbone = zoo.make_backbone(case).to(torch.bfloat16)
    model = get_peft_model(backbone, zoo.make_adapter_config(case, **described(stages, kind)))
    batch = zoo.make_batch(case)
    model(**source_only(batch), labels=batch["decoder_input_ids"]).loss.backward()
    parameters = list(ha.adapter_network(model).parameters())
    assert all(p.dtype == torch.float32 and p.grad.isfinite().all() for p in parameters)
    with torch.no_grad():
        model.eval().generate(**zoo.make_texts(), num_beams=2, **WRITING)


def test_writing_keeps_no_graph(zoo, adapted):
    model, _ = adapted("T5", "both")
    grown = []
    ha.adapter_network(model).register_forward_hook(
        lambda _, args, output: grown.append(
            any(
                part.requires_grad
                for group in output.groups
                if hasattr(group, "sites")
                for site in group.sites
                for part in site
                if part is not None and part.grad_fn is not None
            )
        )
    )
    model.generate(**zoo.make_texts(), **WRITING)
    assert grown and not any(grown)
