"""Chat templates in the manner of the published ones."""

_CHATML = """\
{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}\
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
{% if part['type'] == 'image' %}{{ '@IMAGE' }}{% elif part['type'] == 'video' %}{{ '@VIDEO' }}\
{% elif part['type'] == 'audio' %}{{ '@AUDIO' }}{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}\
{% endfor %}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


def chatml(image: str = "", video: str = "", audio: str = "") -> str:
    """Qwen's turns, with what stands for an image, a video and a sound."""
    return _CHATML.replace("@IMAGE", image).replace("@VIDEO", video).replace("@AUDIO", audio)


VICUNA = """\
{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': ' }}{% endif %}\
{% for part in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\\n' }}{% endfor %}\
{% for part in message['content'] | selectattr('type', 'equalto', 'video') %}{{ '<video>\\n' }}{% endfor %}\
{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}{{ part['text'] + ' ' }}{% endfor %}\
{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"""

VIP = """\
{% for message in messages %}{{ '###' + ('Human' if message['role'] == 'user' else 'Assistant') + ': ' }}\
{% for part in message['content'] %}{{ '<image>\\n' if part['type'] == 'image' else part['text'] }}{% endfor %}\
{% endfor %}{% if add_generation_prompt %}{{ '###Assistant:' }}{% endif %}"""

INST = """\
{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' }}{% for part in message['content'] %}\
{{ '<image>\\n' if part['type'] == 'image' else part['text'] }}{% endfor %}{{ ' [/INST]' }}\
{% else %}{{ ' ' + message['content'][0]['text'] + '</s>' }}{% endif %}{% endfor %}"""

PIXTRAL = """\
{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST]' }}\
{% for part in message['content'] %}{{ '[IMG]' if part['type'] == 'image' else part['text'] }}{% endfor %}\
{{ '[/INST]' }}{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}"""

_IDEFICS = """\
{% for message in messages %}{{ '@BOS' if loop.first else '' }}{{ message['role'] | capitalize }}\
{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}\
{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}\
{% elif part['type'] == 'image' %}{{ '<image>' }}{% elif part['type'] == 'video' %}{{ '<video>' }}{% endif %}\
{% endfor %}<end_of_utterance>\\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""


def idefics(bos: str) -> str:
    """The turns of Idefics2, Idefics3 and SmolVLM."""
    return _IDEFICS.replace("@BOS", bos)


_GEMMA = """\
{{ bos_token }}{% for message in messages %}\
{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}\
{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '@IMAGE' }}\
{% elif part['type'] == 'audio' %}{{ '@AUDIO' }}{% elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}\
{% endfor %}{{ '<end_of_turn>\\n' }}{% endfor %}\
{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""


def gemma(image: str, audio: str = "") -> str:
    """Gemma's turns."""
    return _GEMMA.replace("@IMAGE", image).replace("@AUDIO", audio)


_LLAMA = """\
{{ bos_token }}{% for message in messages %}{{ '@HEAD' + message['role'] + '@TAIL\\n\\n' }}\
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
{{ '<|image|>' if part['type'] == 'image' else part['text'] }}{% endfor %}{% endif %}{{ '@END' }}{% endfor %}\
{% if add_generation_prompt %}{{ '@HEADassistant@TAIL\\n\\n' }}{% endif %}"""


def llama(head: str, tail: str, end: str) -> str:
    """The turns of Llama 3 and Llama 4, which differ in the names of their markers."""
    return _LLAMA.replace("@HEAD", head).replace("@TAIL", tail).replace("@END", end)


AYA = """\
{{ bos_token }}{% for message in messages %}<|START_OF_TURN_TOKEN|>\
{{ '<|USER_TOKEN|>' if message['role'] == 'user' else '<|CHATBOT_TOKEN|>' }}{% for part in message['content'] %}\
{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}<|END_OF_TURN_TOKEN|>{% endfor %}\
{% if add_generation_prompt %}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>{% endif %}"""

GLM = """\
[gMASK]<sop>{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' }}\
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
{% if part['type'] == 'image' %}<|begin_of_image|><|image|><|end_of_image|>\
{% elif part['type'] == 'video' %}<|begin_of_video|><|video|><|end_of_video|>{% else %}{{ part['text'] }}{% endif %}\
{% endfor %}{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|>\\n{% endif %}"""

JANUS = """\
{% for message in messages %}{{ '<|User|>: ' if message['role'] == 'user' else '<|Assistant|>: ' }}\
{% for part in message['content'] %}{{ '<image_placeholder>\\n' if part['type'] == 'image' else part['text'] }}\
{% endfor %}{{ '\\n\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|Assistant|>:' }}{% endif %}"""

PLAIN = """\
{{ bos_token if bos_token else '' }}{% for message in messages %}\
{{ message['role'] + ': ' + message['content'] + '\\n' }}\
{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"""
