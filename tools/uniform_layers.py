"""Write mmdoctor/architectures/uniform_layers.json: types of which all layers attend to everything by default.

python5 tools/uniform_layers.py > mmdoctor/architectures/uniform_layers.json
"""

import json

import transformers
from huggingface_hub.errors import StrictDataclassError
from transformers.cache_utils import get_layer_types_and_kwargs
from transformers.models.auto.configuration_auto import CONFIG_MAPPING


def main() -> None:
    """Print the table as JSON, one type a line."""
    types = sorted(name for name in CONFIG_MAPPING if _uniform(name))
    print(json.dumps({"source": [f"transformers {transformers.__version__}"], "types": types}, indent=1))


def _uniform(name: str) -> bool:
    try:
        config = CONFIG_MAPPING[name]()
        if config.get_text_config(decoder=True) is not config or config.to_dict().get("layer_types"):
            return False
        named = "num_hidden_layers" in config.to_dict() or "num_hidden_layers" in config.attribute_map
        return named and set(get_layer_types_and_kwargs(config)[0]) == {"full_attention"}
    except (TypeError, ValueError, KeyError, ImportError, AttributeError, StrictDataclassError):
        return False


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main()
