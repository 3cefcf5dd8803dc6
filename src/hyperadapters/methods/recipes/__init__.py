"""Recipes: ways to adapt an encoder–decoder to a mixture of tasks."""

from hyperadapters.methods.recipes.build import TASKS, build_config
from hyperadapters.methods.recipes.settings import PRESETS, TaskSettings
from hyperadapters.methods.recipes.table import DEFAULT_RECIPE, RECIPES, Recipe, find_recipe
from hyperadapters.methods.recipes.task_model import TaskModel

__all__ = [
    "DEFAULT_RECIPE",
    "PRESETS",
    "RECIPES",
    "TASKS",
    "Recipe",
    "TaskModel",
    "TaskSettings",
    "build_config",
    "find_recipe",
]
