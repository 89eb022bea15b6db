"""The text encoder: BERT, with DistilBERT and RoBERTa as configurations of it.

Devlin et al. 2018, "BERT", https://arxiv.org/abs/1810.04805, figure 2: token, segment and position embeddings.
Sanh et al. 2019, "DistilBERT", https://arxiv.org/abs/1910.01108. Liu et al. 2019, "RoBERTa", https://arxiv.org/abs/1907.11692.

Shapes: B samples, T tokens, D width.
"""

import torch
from torch import Tensor, nn

from mmdoctor.reference.attention import padding_mask
from mmdoctor.reference.config import TextConfig
from mmdoctor.reference.layers import Encoder


class TextEmbeddings(nn.Module):
    """What the token is, where it stands, and which segment it belongs to."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, width)
        self.position_embeddings = nn.Embedding(config.first_position + config.max_position_embeddings, width)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, width) if config.type_vocab_size else None
        self.layer_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, ids_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
        """Raises `ValueError` for a text that is too long, or segments where the model has none."""
        config, length = self.config, ids_BT.shape[1]
        if length > config.max_position_embeddings:
            raise ValueError(f"the text has {length} tokens, expected up to {config.max_position_embeddings}")
        positions_T = torch.arange(config.first_position, config.first_position + length, device=ids_BT.device)
        x_BTD = self.word_embeddings(ids_BT) + self.position_embeddings(positions_T)
        if self.token_type_embeddings is not None:
            x_BTD = x_BTD + self.token_type_embeddings(torch.zeros_like(ids_BT) if segments_BT is None else segments_BT)
        elif segments_BT is not None:
            raise ValueError("token_type_ids were given, type_vocab_size is 0: this text encoder has no segments")
        y_BTD: Tensor = self.layer_norm(x_BTD)
        return y_BTD


class TextModel(nn.Module):
    """Tokens to one vector a token, the [CLS] token's first."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embeddings = TextEmbeddings(config)
        self.encoder = Encoder(config, norm_first=False)

    def forward(self, ids_BT: Tensor, attention_mask_BT: Tensor, segments_BT: Tensor | None = None) -> Tensor:
        x_BTD: Tensor = self.encoder(self.embeddings(ids_BT, segments_BT), padding_mask(attention_mask_BT))
        return x_BTD
