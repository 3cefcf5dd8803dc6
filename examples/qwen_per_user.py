# %% [markdown]
# # A language model with a LoRA for every user, written by one network
#
# Users want different replies. Storing one LoRA for each of them costs memory and learns nothing
# across users. Here one network writes the LoRA of whoever asks, for each row of the batch.

# %%
from pathlib import Path

import torch
from peft import PeftModel, get_peft_model
from torch.utils.data import Dataset
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

import hyperadapters as ha

# %% [markdown]
# ## What users were answered
# A prompt, a user, and the reply that this user liked.

# %%
STYLES = ("Sure thing", "Certainly, with pleasure", "No", "Let me think")
QUESTIONS = ("Can you help me", "Is it late", "May I come in", "Do you like tea")
REPLIES = [(question, user, style) for question in QUESTIONS for user, style in enumerate(STYLES)]


# %%
class UserReplies(Dataset):
    """Prompt and reply in one row; the loss looks at the reply alone."""

    def __init__(
        self, replies: list[tuple[str, int, str]], tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.rows = []
        for prompt, user, reply in replies:
            asked = tokenizer(prompt, add_special_tokens=False)["input_ids"]
            answer = tokenizer(" " + reply, add_special_tokens=False)["input_ids"]
            answer = [*answer, tokenizer.eos_token_id]
            labels = [-100] * len(asked) + answer
            tokens = {"input_ids": asked + answer, "attention_mask": [1] * len(labels)}
            self.rows.append({**tokens, "labels": labels, "user_ids": user})

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> dict:
        return dict(self.rows[row])


def reply(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: list[str],
    **conditions: object,
) -> list[str]:
    """What the model replies under these conditions."""
    tokenizer.padding_side = "left"
    batch = tokenizer(prompts, padding=True, add_special_tokens=False, return_tensors="pt")
    batch = {name: batch[name].to(model.device) for name in ("input_ids", "attention_mask")}
    options = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": tokenizer.pad_token_id}
    written = model.eval().generate(**batch, **conditions, **options)
    new = written[:, batch["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


# %% [markdown]
# ## Train, write for a mixed batch, mix two users, export one


# %%
def main(
    backbone: str = "Qwen/Qwen2.5-0.5B",
    tokenizer: PreTrainedTokenizerBase | None = None,
    replies: list[tuple[str, int, str]] = REPLIES,
    output: str = "qwen-per-user",
    **training: object,
) -> dict[str, list[str]]:
    """Replies to the first prompt: one per user, by a mixture, and by an exported LoRA."""
    tokenizer = tokenizer or AutoTokenizer.from_pretrained(backbone)
    users = 1 + max(user for _, user, _ in replies)

    def plain() -> PreTrainedModel:
        return AutoModelForCausalLM.from_pretrained(backbone, dtype="float32")

    config = ha.HyperAdapterConfig(
        task_type="CAUSAL_LM",
        r=8,
        lora_alpha=16,
        target_modules=["q_proj", "v_proj", "up_proj", "down_proj"],
        conditions={"user_ids": ha.Lookup(users)},
    )
    model = get_peft_model(plain(), config)
    model.print_trainable_parameters()
    options = {"num_train_epochs": 20, "learning_rate": 2e-3, "per_device_train_batch_size": 16}
    arguments = TrainingArguments(
        output_dir=output, save_strategy="no", report_to="none", **{**options, **training}
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=UserReplies(replies, tokenizer),
        data_collator=DataCollatorForSeq2Seq(tokenizer),  # pads the labels too
    )
    trainer.train()

    # Four users in one batch.
    prompt = replies[0][0]
    found = {}
    everybody = torch.arange(users, device=model.device)
    found["users"] = reply(model, tokenizer, [prompt] * users, user_ids=everybody)
    # Somebody between two users, and nobody in particular.
    found["mixture"] = reply(model, tokenizer, [prompt], user_ids={0: 0.5, 1: 0.5})
    found["anybody"] = reply(model, tokenizer, [prompt], user_ids=-1)

    # One user's LoRA as an ordinary PEFT folder, for servers that know nothing of us.
    folder = Path(output) / "user-1"
    ha.export_lora(model, {"user_ids": 1}, folder)
    served = PeftModel.from_pretrained(plain(), str(folder)).to(model.device).eval()
    found["exported"] = reply(served, tokenizer, [prompt])
    batch = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").to(model.device)
    with torch.no_grad():
        ours = model.eval()(input_ids=batch["input_ids"], user_ids=1).logits
        theirs = served(input_ids=batch["input_ids"]).logits
    torch.testing.assert_close(theirs, ours, atol=1e-3, rtol=1e-3)
    for what, texts in found.items():
        print(f"{what}: {texts}")
    return found


# %%
if __name__ == "__main__":
    main()
