"""What a prompt's messages tell: where the conversation stands, how long it is, what it caches.

Both protocols share the rules; each tells its own message apart by role.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from farthing.call import Conversation
from farthing.codecs import media

__all__ = ["CONTENT_BYTES_PER_TOKEN", "NULL", "Message", "Survey", "survey", "text_tokens"]

# About four bytes of English or code make a token, three of text beyond ASCII (a Chinese or
# Japanese character is three bytes of UTF-8 and about one token).
# Source: https://ai.google.dev/gemini-api/docs/tokens (read 2026-11-24) for the four.
CONTENT_BYTES_PER_TOKEN: Final = 4
_BEYOND_ASCII_BYTES_PER_TOKEN: Final = 3
_OPENING: Final = ord("[")
_EMPTY: Final = msgspec.Raw(b"")
NULL: Final = msgspec.Raw(b"null")


class Message(msgspec.Struct, gc=False):
    """One message; `content` stays as it is written."""

    role: str
    content: msgspec.Raw = NULL


class _CacheControl(msgspec.Struct, gc=False):
    ttl: str | None = None


class _ImageUrl(msgspec.Struct, gc=False):
    url: msgspec.Raw = _EMPTY
    detail: str | None = None


class _Source(msgspec.Struct, gc=False):
    type: str | None = None
    data: msgspec.Raw = _EMPTY


class _Data(msgspec.Struct, gc=False):
    data: msgspec.Raw = _EMPTY
    file_data: msgspec.Raw = _EMPTY


class _Block(msgspec.Struct, gc=False):
    """A part of a message's content; OpenAI's and Anthropic's kinds together."""

    type: str | None = None
    cache_control: _CacheControl | None = None
    image_url: _ImageUrl | None = None  # OpenAI image_url
    input_audio: _Data | None = None  # OpenAI input_audio
    file: _Data | None = None  # OpenAI file
    source: _Source | None = None  # Anthropic image, document
    content: msgspec.Raw = _EMPTY  # Anthropic tool_result: a string, or blocks


class Survey(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the messages tell.

    `media_bytes` are the bytes that are no text, `media_tokens` what they count for instead.
    """

    conversation: Conversation
    media_bytes: int = 0
    media_tokens: int = 0
    cache_write_ttl: str = ""


_blocks = msgspec.json.Decoder(list[_Block])


class _Tally:
    """Adds up what the blocks of a prompt hold."""

    __slots__ = ("media_bytes", "media_tokens", "ttl")

    def __init__(self) -> None:
        self.media_bytes = 0
        self.media_tokens = 0
        self.ttl = ""

    def add(self, raw: bytes) -> bool:
        """Count an array of blocks; say whether one of them is a tool's result.

        Content of a form we do not know counts as text: the provider decides whether it is wrong.
        """
        try:
            blocks = _blocks.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        has_tool_result = False
        for block in blocks:
            if block.type == "tool_result":
                has_tool_result = True
                nested = bytes(block.content)
                if nested.startswith(b"["):
                    self.add(nested)
            if block.cache_control is not None:
                is_short = self.ttl != "1h" and block.cache_control.ttl in (None, "5m")
                self.ttl = "5m" if is_short else "1h"  # a lifetime we do not know: the longest
            self._add_media(block)
        return has_tool_result

    def _add_media(self, block: _Block) -> None:
        if block.image_url is not None:
            low = block.image_url.detail == "low"
            tokens = media.OPENAI_LOW_DETAIL_TOKENS if low else media.OPENAI_IMAGE_TOKENS
            self._count(len(block.image_url.url), tokens)
        elif block.input_audio is not None:
            size = len(block.input_audio.data)
            self._count(size, media.audio_tokens(size))
        elif block.file is not None:
            size = len(block.file.file_data)
            self._count(size, media.document_tokens(size))
        elif block.source is not None and block.source.type != "text":
            size = len(block.source.data)
            is_image = block.type == "image"
            self._count(
                size, media.ANTHROPIC_IMAGE_TOKENS if is_image else media.document_tokens(size)
            )

    def _count(self, size: int, tokens: int) -> None:
        self.media_bytes += size
        self.media_tokens += tokens


def survey(messages: list[Message], *others: msgspec.Raw) -> Survey:
    """What the messages tell, and what `others` (system prompt, tools) add to it.

    A user turn is a run of user messages; one that carries a tool's result belongs to the
    assistant's tool loop and is none. A step is an assistant's message since the last user turn.
    """
    tally: _Tally | None = None
    for other in others:
        if memoryview(other)[0] == _OPENING:
            tally = tally or _Tally()
            tally.add(bytes(other))
    turn = step = 0
    is_in_turn = False
    last: list[msgspec.Raw] = []
    for message in messages:
        content = message.content
        if memoryview(content)[0] == _OPENING:
            tally = tally or _Tally()
            if tally.add(bytes(content)) and message.role == "user":
                continue
        if message.role == "user":
            if is_in_turn:
                last.append(content)
            else:
                turn += 1
                step = 0
                last = [content]
                is_in_turn = True
        elif message.role == "assistant":
            step += 1
            is_in_turn = False
    conversation = Conversation(turn=turn, step=step, last_turn=_digest(last))
    if tally is None:
        return Survey(conversation=conversation)
    return Survey(
        conversation=conversation,
        media_bytes=tally.media_bytes,
        media_tokens=tally.media_tokens,
        cache_write_ttl=tally.ttl,
    )


def _digest(contents: list[msgspec.Raw]) -> str:
    """16 hex characters of BLAKE2b over the contents as written; empty for none."""
    if not contents:
        return ""
    whole = contents[0] if len(contents) == 1 else b"\n".join(contents)
    return hashlib.blake2b(whole, digest_size=8).hexdigest()


def text_tokens(body: bytes, media_bytes: int = 0) -> int:
    """The tokens that so many bytes of body may be, rounded up."""
    per_token = CONTENT_BYTES_PER_TOKEN if body.isascii() else _BEYOND_ASCII_BYTES_PER_TOKEN
    return -(-(len(body) - media_bytes) // per_token)
