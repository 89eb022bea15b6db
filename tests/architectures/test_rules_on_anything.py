"""No names, shapes or configurations make a shape rule crash."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.architectures.made import LLAMA, examine, llama, llava, llava_config
from tests.architectures.test_library_oracle import RULES

SHAPE = st.lists(st.integers(0, 200), max_size=5).map(tuple)
NAMES = sorted({**llama(norms=True), **llava()})
TENSORS = st.dictionaries(st.sampled_from(NAMES), SHAPE, min_size=1, max_size=40)
VALUE = (
    st.none() | st.integers(-5, 10**30) | st.text(max_size=3) | st.lists(st.integers(-1, 9), max_size=3) | st.booleans()
)


@settings(deadline=None)
@given(tensors=TENSORS, text=st.dictionaries(st.sampled_from(sorted(LLAMA)), VALUE), base=st.booleans())
def test_no_shapes_break_a_rule(tensors: dict[str, tuple[int, ...]], text: dict[str, Any], base: bool):
    shapes = {**llava(), **tensors} if base else tensors
    value = {**llava_config(), "text_config": {**llava_config()["text_config"], **text}}

    for rule in RULES:
        for finding in examine(rule, shapes, value):
            assert finding.evidence
            assert finding.message
        examine(rule, shapes)


@settings(deadline=None)
@given(vision=st.dictionaries(st.sampled_from(sorted(llava_config()["vision_config"])), VALUE), top=VALUE)
def test_no_configuration_breaks_a_rule(vision: dict[str, Any], top: Any):
    value = {
        **llava_config(),
        "vision_config": {**llava_config()["vision_config"], **vision},
        "vision_feature_layer": top,
    }

    for rule in RULES:
        for finding in examine(rule, llava(), value):
            assert finding.message
