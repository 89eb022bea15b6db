"""Healthy patients: tiny random multimodal models in the Hugging Face layout, true to life in all but size.

`specimens.build("qwen2_5_vl", root)` gives the folder of one specimen, made on the first call; `specimens.NAMES` lists
all.
"""

from tests.specimens.maker import NAMES, UnavailableError, build, default_root
from tests.specimens.recipe import Recipe, recipes

__all__ = ["NAMES", "Recipe", "UnavailableError", "build", "default_root", "recipes"]
