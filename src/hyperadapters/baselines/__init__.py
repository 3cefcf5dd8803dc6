"""What a model of people has to beat: predictors that read no text."""

from hyperadapters.baselines.modes import (
    AnnotatorMode,
    GlobalMode,
    annotator_mode,
    global_mode,
    mode_from_dict,
)

__all__ = ["AnnotatorMode", "GlobalMode", "annotator_mode", "global_mode", "mode_from_dict"]
