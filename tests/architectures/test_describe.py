"""Each part's numbers for the head of a report, stated or derived."""

from mmdoctor.facts.parts import Description, Role
from tests.architectures.made import LLAMA, changed, checkpoint, clip_tower, engine, llama, llava, llava_config


def _of(shapes: dict[str, tuple[int, ...]], value: dict | None, role: Role) -> tuple[dict[str, int], tuple[str, ...]]:
    parts = engine(checkpoint(shapes), value).fact(Description).parts
    (found,) = [p for p in parts if p.part.role is role]
    return dict(found.numbers), found.derived


def test_stated_numbers_come_first():
    text, derived = _of(llava(), llava_config(), Role.TEXT)

    assert text == {
        "layers": 3,
        "hidden": 64,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 16,
        "vocabulary": 100,
        "context": 2048,
    }
    assert derived == ()


def test_shapes_say_what_no_configuration_does():
    vision, derived = _of(llava(), None, Role.VISION)

    assert vision == {"layers": 3, "hidden": 32, "patch": 14, "positions": 17, "image": 56}
    assert set(derived) == set(vision)


def test_norms_give_the_heads_away():
    text, _ = _of(llama(norms=True), None, Role.TEXT)

    assert (text["heads"], text["kv_heads"], text["head_dim"]) == (4, 2, 16)


def test_without_norms_nobody_knows_the_heads():
    text, _ = _of(llama(), None, Role.TEXT)

    assert "heads" not in text


def test_a_five_dimensional_kernel_counts_frames():
    shapes = {"visual.patch_embed.proj.weight": (32, 3, 2, 14, 14)}
    shapes |= {f"visual.blocks.{i}.attn.qkv.weight": (96, 32) for i in range(3)}

    assert _of(shapes, None, Role.VISION)[0] == {"layers": 3, "hidden": 32, "patch": 14, "frames": 2}


def test_a_projector_reads_and_writes():
    assert _of(llava(), None, Role.PROJECTOR)[0] == {"reads": 32, "writes": 64}


def test_a_table_of_half_a_square_gives_no_image():
    assert "image" not in _of(clip_tower(positions=18), None, Role.VISION)[0]


def test_a_config_that_states_no_image_size_is_not_overruled_by_the_table():
    unstated = {"vision_config__image_size": None, "vision_config__model_type": None}
    value = changed(llava_config(), model_type="qwen2_5_vl", **unstated)

    assert "image" not in _of(llava(), value, Role.VISION)[0]


def test_experts_and_heads():
    shapes = llama() | {f"model.layers.1.mlp.experts.{e}.up_proj.weight": (32, 64) for e in range(8)}

    assert _of(shapes, LLAMA, Role.TEXT)[0]["experts"] == 8
    assert _of(shapes, LLAMA, Role.HEAD)[0] == {"vocabulary": 100, "hidden": 64}


def test_sound():
    shapes = {"encoder.conv1.weight": (64, 80, 3), "encoder.positional_embedding": (1500, 64)}
    shapes |= {"encoder.blocks.0.attn.query.weight": (64, 64), "decoder.token_embedding.weight": (100, 64)}

    assert _of(shapes, None, Role.AUDIO)[0] == {"layers": 1, "hidden": 64, "mel_bins": 80, "positions": 1500}
