"""What requests and answers look like; OpenAPI's document is made of it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

NOTICE = "A prediction is what a model expects a person to say. It is not that person's opinion."

Name = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(description="A text; not empty.")]
Pair = Annotated[list[Text], Field(min_length=2, max_length=2)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Label = Annotated[str | int, Field(description="One of the run's labels.")]


class Strict(BaseModel):
    """Fields that are not known are refused, so that a misspelt one is not passed over."""

    model_config = ConfigDict(extra="forbid")


class Jury(Strict):
    """Who sits on a jury: some people, of these those with some attributes, of these some drawn."""

    people: list[Name] | None = Field(None, description="Ids; by default everyone.")
    where: dict[Name, list[str]] = Field(
        default_factory=dict, description="Attribute → values that are wanted."
    )
    size: int | None = Field(None, ge=1, description="How many are drawn at random; default all.")
    seed: int = Field(0, ge=0, lt=2**32, description="Of the draw, and of the interval.")
    weights: dict[Name, Weight] = Field(
        default_factory=dict, description="How much people count; 1 where nothing is said."
    )


class PredictRequest(Strict):
    """Texts, and who is asked about them."""

    texts: list[Text | Pair] = Field(min_length=1, description="Texts, or pairs of texts.")
    annotators: Literal["all", "population"] | list[Name] = Field(
        "all", description="Everyone, nobody in particular, or ids."
    )
    jury: Jury | None = Field(None, description="Asked in the place of `annotators`.")
    people: bool = Field(True, description="Whether to say what each person would say.")
    intervals: bool = Field(
        False,
        description="Whether to say how sure the model is of people who were added later, and of "
        "nobody in particular; of people of training it is not known.",
    )

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"texts": ["You people are unbelievable."]}]},
    )


class Rating(Strict):
    """What somebody said of a text."""

    text: Text
    text_pair: Text | None = None
    label: Label


class OwnRating(Rating):
    """What somebody said of a text, and who."""

    annotator: Name
    attributes: dict[Name, str] = Field(default_factory=dict)


class AdaptRequest(Strict):
    """All labels of people who are to be learned."""

    ratings: list[OwnRating] = Field(min_length=1)
    known: Literal["error", "skip", "replace"] = Field(
        "error", description="What is done with people on whom the run was trained."
    )


class NewcomerRequest(Strict):
    """Labels of somebody, and what they are asked then; nothing is kept."""

    ratings: list[Rating] = Field(default_factory=list)
    texts: list[Text | Pair] = Field(min_length=1)


class ForgetRequest(Strict):
    """People who are to be removed."""

    annotators: list[Name] = Field(min_length=1)


class ExportRequest(Strict):
    """Whose LoRA is wanted."""

    annotator: Name = Field(description="An id, or population.")
    head: bool = Field(True, description="Whether the classification head goes along.")


class Person(BaseModel):
    """What one person is expected to say."""

    annotator: str
    predicted: Label
    p: list[float]
    source: str
    low: list[float] | None = Field(
        None, description="Lower ends of 90 % intervals, where they were asked for and are known."
    )
    high: list[float] | None = None


class Summary(BaseModel):
    """What all who were asked are expected to say."""

    n_annotators: int
    p: list[float] = Field(description="Mean probability of each label.")
    share: list[float] = Field(description="Share of people of whom each label is predicted.")
    predicted: Label = Field(description="The label of the highest share.")
    disagreement: float = Field(description="How often two people drawn at random differ.")


class Verdict(BaseModel):
    """What a jury is expected to say."""

    verdict: Label
    p: list[float] = Field(description="Weighted mean probability of each label.")
    low: list[float | None] = Field(
        description="Lower ends of 90 % intervals, drawn over members; null for one member alone."
    )
    high: list[float | None]
    share: list[float] = Field(description="Weighted share of members who say each label.")
    dissent: float = Field(description="Weighted share of members who say another label.")
    disagreement: float = Field(description="How often answers of two drawn members differ.")


class TextAnswer(BaseModel):
    """The answers to one text."""

    summary: Summary
    people: list[Person] | None = None
    verdict: Verdict | None = None


class PredictAnswer(BaseModel):
    """The answers to a question, texts in their order."""

    labels: list[Label]
    notice: str
    simulated: bool
    members: list[dict[str, Any]] | None = Field(None, description="Who sits on the jury.")
    texts: list[TextAnswer]


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str
