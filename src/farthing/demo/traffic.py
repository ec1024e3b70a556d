"""Seeded traffic of a support product with six LLM features.

    triage   sorts each ticket                     gpt-4o-mini, one short answer
    help     answers common questions             gpt-4o-mini, the same few over and over
    search   embeds the question                   text-embedding-3-small
    answer   talks with the customer               gpt-4o, streamed, several turns, regenerations
    agent    acts on orders with tools             claude-sonnet-4-5, several steps a trace
    summary  closes the ticket                     claude-3-5-haiku, one call

The shapes are the usual ones: long system prompts that repeat, conversations that grow, an agent
whose every step sends all that came before, developers who try prompts, a service that forgot to
say which feature it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec

__all__ = ["Planned", "Ticket", "plan_rewordings", "plan_tickets"]

_SUBJECTS = (
    "the invoice shows a charge that I do not recognise",
    "the parcel has not moved for six days",
    "the app signs me out whenever I change networks",
    "I want to return one of the three lamps I ordered",
    "the discount code was taken but not applied",
    "my colleague needs access to the same workspace",
    "the export stops at ten thousand rows",
    "I was asked to pay customs although delivery was free",
)
_DETAILS = (
    "It is order {number} and it happened {days} days ago.",
    "I already wrote {days} days ago, reference {number}.",
    "We have {number} users who wait for this.",
    "The amount is {days}.{number} euros, and I paid by card.",
)
_FOLLOW_UPS = (
    "That did not help, is there another way?",
    "How long will that take?",
    "Can you do that for me, please?",
    "Thank you. And what about the other item?",
)
_COMMON = (
    "How do I reset my password?",
    "Which countries do you ship to?",
    "How long do I have to return an item?",
    "Do you offer invoices for companies?",
    "How do I cancel a subscription?",
)
_REWORDED = (  # by the place of the common question that they ask again
    (0, "How can I reset my password?"),
    (1, "To which countries do you ship?"),
    (2, "How long do I have for returning an item?"),
    (3, "Do you offer company invoices?"),
    (4, "How can I cancel a subscription?"),
    (0, "how to reset my password"),
    (1, "What countries do you ship to?"),
    (4, "How do I cancel my subscription?"),
    (0, "How can I reset my password?"),
    (1, "How long does shipping to Norway take?"),  # this one asks something else
)
_RULES = " ".join(
    f"Rule {n}: {text}"
    for n, text in enumerate(
        (
            "greet the customer once and by name where the name is known.",
            "never promise a refund before the order has been looked up.",
            "quote amounts with their currency and never convert them.",
            "offer the self-service page before you offer a call.",
            "keep to the language in which the customer wrote.",
            "hand over to a person when the customer asks for one.",
        )
        * 9,
        start=1,
    )
)
_TOOLS = [
    {
        "name": name,
        "description": text,
        "input_schema": {"type": "object", "properties": {"order": {"type": "string"}}},
    }
    for name, text in (
        ("look_up_order", "Read an order with its items and its payments."),
        ("refund_item", "Give back the money for one item of an order."),
        ("send_replacement", "Send an item again, free of charge."),
    )
]
_OPENAI, _ANTHROPIC = "/v1/chat/completions", "/v1/messages"


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One request to be made: its path, headers and JSON body."""

    path: str
    headers: dict[str, str]
    body: bytes


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """The requests of one ticket, made one after the other."""

    calls: tuple[Planned, ...]


def plan_tickets(count: int, seed: int) -> list[Ticket]:
    """`count` tickets; the same seed gives the same bytes."""
    random = Random(seed)  # noqa: S311 - simulated traffic, not secrets
    return [Ticket(calls=tuple(_ticket(random, number))) for number in range(count)]


def _ticket(random: Random, number: int) -> Iterator[Planned]:
    question = f"Hello, {random.choice(_SUBJECTS)}. " + random.choice(_DETAILS).format(
        number=random.randint(1000, 9999), days=random.randint(2, 30)
    )
    who = {
        "user": f"customer-{random.randint(1, 60)}",
        "session": f"ticket-{number}",
        "env": "dev" if random.random() < 0.08 else "prod",
    }
    yield _help(number, who)
    yield _search(question, who)
    yield _triage(question, who)
    if random.random() < 0.6:
        yield from _answer(random, question, who)
    if random.random() < 0.3:
        yield from _agent(random, question, who, f"run-{number}")
    if random.random() < 0.5:
        yield _summary(random, question, who)
    if random.random() < 0.06:  # a cron job that nobody labelled
        yield _planned(_OPENAI, {}, model="gpt-4o-mini", messages=[_user(question)])


def plan_rewordings() -> list[Planned]:
    """The common questions in other words: only the semantic layer knows that they are the same."""
    who = {"user": "customer-1", "session": "help", "env": "prod"}
    return [_help(place, who, text) for place, text in _REWORDED]


def _help(number: int, who: dict[str, str], text: str = "") -> Planned:
    """A common question, from the help page; some are streamed, each always or never."""
    place = number % len(_COMMON)
    system = "Answer from the help pages in at most three sentences. " + _RULES[:600]
    return _planned(
        _OPENAI,
        who | {"feature": "help"},
        model="gpt-4o-mini",
        temperature=0,
        messages=[{"role": "system", "content": system}, _user(text or _COMMON[place])],
        max_tokens=400,
        stream=place % 2 == 0,
    )


def _search(question: str, who: dict[str, str]) -> Planned:
    return _planned(
        "/v1/embeddings",
        who | {"feature": "search"},
        model="text-embedding-3-small",
        input=question,
    )


def _triage(question: str, who: dict[str, str]) -> Planned:
    system = "Answer with one word: billing, delivery, account or product. " + _RULES[:600]
    return _planned(
        _OPENAI,
        who | {"feature": "triage"},
        model="gpt-4o-mini",
        messages=[{"role": "system", "content": system}, _user(question)],
        max_tokens=8,
    )


def _answer(random: Random, question: str, who: dict[str, str]) -> Iterator[Planned]:
    messages: list[Any] = [{"role": "system", "content": _RULES}, _user(question)]
    for turn in range(random.randint(1, 4)):
        if turn:
            messages.append(
                {"role": "assistant", "content": f"Here is what I found. {_RULES[:500]}"}
            )
            messages.append(_user(random.choice(_FOLLOW_UPS)))
        for _ in range(2 if random.random() < 0.2 else 1):  # some press "regenerate"
            yield _planned(
                _OPENAI,
                who | {"feature": "answer"},
                model="gpt-4o",
                messages=list(messages),
                max_tokens=400,
                stream=True,
            )


def _agent(random: Random, question: str, who: dict[str, str], trace: str) -> Iterator[Planned]:
    system = [{"type": "text", "text": _RULES, "cache_control": {"type": "ephemeral"}}]
    messages: list[Any] = [_user(question)]
    for step in range(random.randint(2, 5)):
        if step:
            use = f"toolu_{trace}_{step}".replace("-", "_")
            tool = random.choice(_TOOLS)["name"]
            order = {"order": str(random.randint(1000, 9999))}
            messages += [
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": use, "name": tool, "input": order}],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": use, "content": _RULES[:900]}
                    ],
                },
            ]
        yield _planned(
            _ANTHROPIC,
            who | {"feature": "agent", "trace": trace, "step": str(step + 1)},
            model="claude-sonnet-4-5",
            system=system,
            tools=_TOOLS,
            messages=list(messages),
            max_tokens=600,
            stream=step % 2 == 0,
        )


def _summary(random: Random, question: str, who: dict[str, str]) -> Planned:
    turns = " ".join(random.choice(_FOLLOW_UPS) + " " + _RULES[:300] for _ in range(4))
    return _planned(
        _ANTHROPIC,
        who | {"feature": "summary"},
        model="claude-3-5-haiku-20241022",
        messages=[_user(f"Summarise this ticket in two sentences. {question} {turns}")],
        max_tokens=120,
    )


def _user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def _planned(path: str, attribution: dict[str, str], **body: Any) -> Planned:
    headers = {"content-type": "application/json"}
    headers |= {f"x-farthing-{name}": value for name, value in attribution.items()}
    if path == _ANTHROPIC:
        headers["anthropic-version"] = "2023-06-01"
    return Planned(path=path, headers=headers, body=json.dumps(body).encode())
