"""Two-way transformer between a few tokens and the image.

Architecture: Kirillov et al., Segment Anything, 2023 (appendix A, figure 14).

Attention between T tokens and N >> T image positions is evaluated in a
cheaper order than it is written, with the same result: a projection of the
N positions followed by a product with T tokens is one product with T
projected tokens. For a head with queries q = Q Wq and keys k = K Wk the
scores are q k' = (q Wk') K', and the output A (V Wv) is (A V) Wv. So nothing
of size N x channels is ever projected while heads * T stays at or below the
inner channels, and biases either cancel in the softmax or, as its weights add
up to one, move to the small side.

The image goes through the layers in pieces, which are made lazily: what one
layer does to a piece and what the next layer's tokens gather from it follow
each other while the piece is in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samslice.model.config import DecoderConfig
from samslice.model.layers import TransformerMlp


def _rows_times_image(rows_brc: Tensor, image_bnc: Tensor) -> Tensor:
    """(B, R, C) and image (B or 1, N, C) -> (B, R, N); one product if the image is shared."""
    if len(image_bnc) == 1:
        return F.linear(rows_brc, image_bnc[0])
    return torch.bmm(rows_brc, image_bnc.transpose(1, 2))


def _weighted_image(weights_brn: Tensor, image_bnc: Tensor) -> Tensor:
    """(B, R, N) and image (B or 1, N, C) -> (B, R, C); one product if the image is shared."""
    if len(image_bnc) == 1:
        return weights_brn @ image_bnc[0]
    return torch.bmm(weights_brn, image_bnc)


class Positions(NamedTuple):
    """Where pieces of an image are, and how much of it they stand for.

    Attributes
    ----------
    code : Tensor of shape (n, width) or (B, n, width)
        The positions' code.
    log_count_bn : Tensor of shape (B, n), optional
        Logarithm of how many positions each stands for; one if left out.
    """

    code: Tensor
    log_count_bn: Tensor | None = None


class Piece(NamedTuple):
    """Some image positions: (B or 1, n, width), without and with their code.

    The third part is that of :class:`Positions`.
    """

    image_bnc: Tensor
    coded_bnc: Tensor
    log_count_bn: Tensor | None = None


def _join(pieces: Iterable[Piece]) -> Piece:
    """Make one piece of all."""
    images, coded, log_counts = zip(*pieces, strict=True)
    given = [part for part in log_counts if part is not None]
    log_count_bn = torch.cat(given, dim=1) if given else None
    return Piece(torch.cat(images, dim=1), torch.cat(coded, dim=1), log_count_bn)


def _keep(pieces: Iterable[Piece], keep: Callable[[Piece], None]) -> Iterator[Piece]:
    """Pass pieces on, and give them to somebody who keeps them too."""
    for piece in pieces:
        keep(piece)
        yield piece


def _drain(seen: list[Piece]) -> Iterator[Piece]:
    """Pass kept pieces on from the first, and keep each no longer."""
    seen.reverse()
    while seen:
        yield seen.pop()


def add_code(image_bnc: Iterable[Tensor], positions: Iterable[Positions]) -> Iterator[Piece]:
    """Add the positions' code to an image.

    Parameters
    ----------
    image_bnc : iterable of Tensor of shape (B or 1, n, width)
        The image in pieces.
    positions : iterable of Positions
        Where they are, in the same pieces.

    Yields
    ------
    Piece
        Each piece of the image, without and with its code.
    """
    for image, at in zip(image_bnc, positions, strict=True):
        yield Piece(image, image + at.code, at.log_count_bn)


class Attention(nn.Module):
    """Multi-head attention with separate projections.

    Parameters
    ----------
    width, inner, heads : int
        Channels outside and inside, and heads.
    """

    def __init__(self, *, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inner = inner
        self.q_proj = nn.Linear(width, inner)
        self.k_proj = nn.Linear(width, inner)
        self.v_proj = nn.Linear(width, inner)
        self.out_proj = nn.Linear(inner, width)

    def _split(self, x_bni: Tensor) -> Tensor:
        batch, n_tokens, _ = x_bni.shape
        return x_bni.view(batch, n_tokens, self.heads, -1)

    def _per_head(self, weight: Tensor) -> Tensor:
        """Projection weight (inner, width) -> (heads, channels of a head, width)."""
        inner, width = weight.shape
        return weight.reshape(self.heads, inner // self.heads, width)

    def attend(
        self,
        queries_bqc: Tensor,
        keys_bkc: Tensor,
        values_bkc: Tensor,
        log_count_bk: Tensor | None = None,
    ) -> Tensor:
        """Attend as the formula is written: project, attend, project back.

        Parameters
        ----------
        queries_bqc, keys_bkc, values_bkc : Tensor of shape (B or 1, tokens, width)
            What attends, and what is attended to.
        log_count_bk : Tensor of shape (B, tokens), optional
            Logarithm of how many keys each stands for; one if left out.

        Returns
        -------
        Tensor of shape (B, queries, width)
            The result.
        """
        q = self._split(self.q_proj(queries_bqc)).transpose(1, 2)
        k = self._split(self.k_proj(keys_bkc)).transpose(1, 2)
        v = self._split(self.v_proj(values_bkc)).transpose(1, 2)
        batch = max(len(q), len(k))
        q, k, v = (x.expand(batch, -1, -1, -1) for x in (q, k, v))
        counts = None if log_count_bk is None else log_count_bk[:, None, None]
        attended = F.scaled_dot_product_attention(q, k, v, counts)
        output: Tensor = self.out_proj(attended.transpose(1, 2).flatten(2))
        return output


class TokenToImageAttention(Attention):
    """Tokens gather from the image."""

    def forward(self, tokens_btc: Tensor, pieces: Iterable[Piece]) -> Tensor:
        """Attend from tokens to image positions.

        Parameters
        ----------
        tokens_btc : Tensor of shape (B, T, width)
            Queries.
        pieces : iterable of Piece
            Values, and with their code keys; gone through once.

        Returns
        -------
        Tensor of shape (B, T, width)
            What each token gathered.
        """
        batch, n_tokens, _ = tokens_btc.shape
        if self.heads * n_tokens > self.inner:
            image_bnc, coded_bnc, log_count_bn = _join(pieces)
            return self.attend(tokens_btc, coded_bnc, image_bnc, log_count_bn)
        q = self._split(self.q_proj(tokens_btc)) * (self.inner // self.heads) ** -0.5
        # The keys' bias adds the same to all scores of a query, so it cancels.
        rows = torch.einsum("bthd,hdc->bhtc", q, self._per_head(self.k_proj.weight))
        rows = rows.flatten(1, 2)
        images: list[Tensor] = []
        scores: list[Tensor] = []
        for piece in pieces:
            images.append(piece.image_bnc)
            score = _rows_times_image(rows, piece.coded_bnc)
            if piece.log_count_bn is not None:
                score += piece.log_count_bn[:, None]
            scores.append(score)
        weights = torch.cat(scores, dim=2).softmax(dim=2)
        shares = torch.split(weights, images[0].shape[1], dim=2)
        gathered = _weighted_image(shares[0], images[0])
        for share, image in zip(shares[1:], images[1:], strict=True):
            gathered = gathered + _weighted_image(share, image)
        gathered = gathered.view(batch, self.heads, n_tokens, -1)
        values = torch.einsum("bhtc,hdc->bthd", gathered, self._per_head(self.v_proj.weight))
        output: Tensor = self.out_proj(values.flatten(2) + self.v_proj.bias)
        return output


class ImageToTokenAttention(Attention):
    """The image gathers from the tokens."""

    def forward(
        self, pieces: Iterable[Piece], keys_btc: Tensor, values_btc: Tensor
    ) -> Iterator[Tensor]:
        """Attend from image positions to tokens and add the result to the image.

        Parameters
        ----------
        pieces : iterable of Piece
            What the result is added to, and with its code queries.
        keys_btc, values_btc : Tensor of shape (B, T, width)
            Tokens with and without their own code.

        Yields
        ------
        Tensor of shape (B, n, width)
            The updated image, piece by piece.
        """
        batch, n_tokens, _ = keys_btc.shape
        if self.heads * n_tokens > self.inner:
            for piece in pieces:
                yield piece.image_bnc + self.attend(piece.coded_bnc, keys_btc, values_btc)
            return
        scale = (self.inner // self.heads) ** -0.5
        k = self._split(self.k_proj(keys_btc)) * scale
        rows = torch.einsum("bthd,hdc->bhtc", k, self._per_head(self.q_proj.weight)).flatten(1, 2)
        # The queries' bias differs from token to token, so it stays.
        offset = torch.einsum("bthd,hd->bht", k, self.q_proj.bias.view(self.heads, -1))
        v = self._split(self.v_proj(values_btc))
        values = torch.einsum("bthd,hdc->bhtc", v, self._per_head(self.out_proj.weight.T))
        # The weights of each head add up to one, and so does this share of the bias.
        values = (values + self.out_proj.bias / self.heads).flatten(1, 2)
        for piece in pieces:
            scores = _rows_times_image(rows, piece.coded_bnc)
            scores = scores.view(batch, self.heads, n_tokens, -1) + offset[..., None]
            weights = scores.softmax(dim=2).flatten(1, 2).transpose(1, 2)
            yield torch.bmm(weights, values).add_(piece.image_bnc)


class TwoWayLayer(nn.Module):
    """Tokens among themselves, tokens from image, MLP, image from tokens.

    Parameters
    ----------
    config : DecoderConfig
        Geometry.
    """

    def __init__(self, *, config: DecoderConfig) -> None:
        super().__init__()
        width, heads = config.width, config.heads
        inner = width // config.attention_downsample
        self.self_attn = Attention(width=width, inner=width, heads=heads)
        self.norm1 = nn.LayerNorm(width)
        self.cross_attn_token_to_image = TokenToImageAttention(
            width=width, inner=inner, heads=heads
        )
        self.norm2 = nn.LayerNorm(width)
        self.mlp = TransformerMlp(width=width, hidden=config.mlp_width, activation=nn.ReLU())
        self.norm3 = nn.LayerNorm(width)
        self.norm4 = nn.LayerNorm(width)
        self.cross_attn_image_to_token = ImageToTokenAttention(
            width=width, inner=inner, heads=heads
        )

    def _mix_tokens(self, tokens_btc: Tensor, token_code_btc: Tensor) -> Tensor:
        coded_btc = tokens_btc + token_code_btc
        return tokens_btc + self.self_attn.attend(coded_btc, coded_btc, tokens_btc)

    def forward(
        self, tokens_btc: Tensor, token_code_btc: Tensor, pieces: Iterable[Piece]
    ) -> tuple[Tensor, Iterator[Tensor]]:
        """Update tokens and image.

        Parameters
        ----------
        tokens_btc : Tensor of shape (B, T, width)
            Tokens.
        token_code_btc : Tensor of shape (B, T, width)
            Their own code, added wherever they are compared.
        pieces : iterable of Piece
            The image; one image while all prompts still share it.

        Returns
        -------
        tokens_btc : Tensor of shape (B, T, width)
            Updated tokens.
        image_bnc : iterator of Tensor of shape (B, n, width)
            Updated image, made piece by piece when asked for.
        """
        tokens_btc = self.norm1(self._mix_tokens(tokens_btc, token_code_btc))
        seen: list[Piece] = []
        gathered = self.cross_attn_token_to_image(
            tokens_btc + token_code_btc, _keep(pieces, seen.append)
        )
        tokens_btc = self.norm2(tokens_btc + gathered)
        tokens_btc = self.norm3(tokens_btc + self.mlp(tokens_btc))
        updated_bnc = self.cross_attn_image_to_token(
            _drain(seen), tokens_btc + token_code_btc, tokens_btc
        )
        return tokens_btc, map(self.norm4, updated_bnc)


class FirstTwoWayLayer(TwoWayLayer):
    """The first layer, whose tokens still equal their own code.

    Its self-attention therefore adds no code, and it replaces the tokens.
    """

    def _mix_tokens(self, tokens_btc: Tensor, token_code_btc: Tensor) -> Tensor:
        return self.self_attn.attend(tokens_btc, tokens_btc, tokens_btc)


class TwoWayTransformer(nn.Module):
    """Layers of :class:`TwoWayLayer`, then tokens gather once more.

    Parameters
    ----------
    config : DecoderConfig
        Geometry.
    """

    def __init__(self, *, config: DecoderConfig) -> None:
        super().__init__()
        later = (TwoWayLayer(config=config) for _ in range(config.depth - 1))
        self.layers = nn.ModuleList([FirstTwoWayLayer(config=config), *later])
        self.final_attn_token_to_image = TokenToImageAttention(
            width=config.width,
            inner=config.width // config.attention_downsample,
            heads=config.heads,
        )
        self.norm_final_attn = nn.LayerNorm(config.width)

    def forward(
        self,
        tokens_btc: Tensor,
        pieces: Iterable[Piece],
        positions: Sequence[Positions],
        *,
        wanted: int,
    ) -> tuple[Tensor, list[Tensor]]:
        """Let tokens and image inform each other.

        Parameters
        ----------
        tokens_btc : Tensor of shape (B, T, width)
            Output and prompt tokens.
        pieces : iterable of Piece
            The image; one image if all prompts share the same.
        positions : sequence of Positions
            Where the pieces are.
        wanted : int
            How many of the tokens, from the first, to return.

        Returns
        -------
        tokens_btc : Tensor of shape (B, wanted, width)
            Updated tokens.
        image_bnc : list of Tensor of shape (B, n, width)
            Updated image, one per prompt, in the same pieces.
        """
        token_code_btc = tokens_btc
        for layer in self.layers:
            tokens_btc, updated_bnc = layer(tokens_btc, token_code_btc, pieces)
            pieces = add_code(updated_bnc, positions)
        # Tokens no longer inform each other, so the others need not be followed.
        tokens_btc, token_code_btc = tokens_btc[:, :wanted], token_code_btc[:, :wanted]
        image_bnc: list[Tensor] = []
        gathered = self.final_attn_token_to_image(
            tokens_btc + token_code_btc,
            _keep(pieces, lambda piece: image_bnc.append(piece.image_bnc)),
        )
        return self.norm_final_attn(tokens_btc + gathered), image_bnc
