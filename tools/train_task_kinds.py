"""Train the small classifier of task kinds that routing uses before there is any evidence.

    python tools/train_task_kinds.py          train, print the accuracy, write the weights
    python tools/train_task_kinds.py --check  exit 1 if the packaged weights are others

The data are made here: instructions as people write them for three kinds of tasks, before or behind
texts of many sorts. The measure is honest in one respect: whole instructions are held out, a third
of them in each of six partings, so that the figure is of wordings that were never seen. It says
nothing of your traffic; that is what the shadow is for.

Features are words and pairs of neighbours of the beginning and the end of a prompt; the model is a
logistic regression with an L2 penalty, fitted by gradient descent from zero, so that a run gives
the same weights each time.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np

from farthing.levers.routing.task_kinds import KINDS, TRUSTED, features_of

OUT = Path(__file__).parents[1] / "src/farthing/levers/routing/task_kinds.json"
CLASSIFY = """
Classify the sentiment of this review as positive, negative or neutral.
Is the following message spam? Answer yes or no.
Which of these categories fits the ticket best: billing, shipping, returns, other?
Label the intent of the user's message with one of: cancel, upgrade, question, complaint.
Decide whether the text below is toxic. Reply with true or false.
Assign a priority from 1 to 5 to this support request. Output only the number.
What language is this written in? Answer with the ISO code only.
Tag the article with one topic from the list.
Rate how likely this lead is to buy on a scale from 0 to 10. Only the score.
Does the answer contradict the source? Answer yes, no or unclear.
Choose the correct option: A, B, C or D. Respond with the letter only.
Route this email to the right team. Teams: sales, legal, support, finance.
Determine if the following claim is supported by the passage. Reply SUPPORTED or REFUTED.
Is this transaction fraudulent? Output a single word.
Detect the emotion in the sentence: joy, anger, fear, sadness or surprise.
Categorize the expense into one of the accounts below.
You are a classifier. Return exactly one label from the allowed labels.
Judge whether the two sentences mean the same. Answer 1 or 0.
Does this comment violate our guidelines? yes/no
Moderate the following post and return allow or block.
Pick the best matching product category id for the title.
Say whether the reviewer would recommend the product. One word.
Identify which department should handle the request. Respond with the department name only.
Grade this answer as correct or incorrect.
"""
EXTRACT = """
Extract all names, dates and amounts from the text as JSON.
Return the invoice number, the total and the due date in JSON with these keys.
List every company mentioned in the article, one per line.
Parse the following address into street, city, postcode and country.
Pull out the phone numbers and email addresses from this message.
Find the order id in the email below. Return only the id.
Convert the receipt into a JSON object with fields merchant, date, items and total.
Extract the key entities and their types from the passage.
Fill in this schema from the document: name, date of birth, nationality.
What is the contract's effective date? Quote it from the text.
From the transcript, get the action items with owner and deadline as a table.
Give me the product attributes (brand, size, colour) found in the title.
Copy every sentence that mentions a price.
Read the job posting and return title, salary range and location as JSON.
Identify all medications and dosages in the note. Output a JSON array.
Structure the following resume into education, experience and skills.
Which ingredients are listed? Return them as a comma-separated list.
Extract the SQL table names used in the query.
Retrieve the tracking number from the text, or null if there is none.
Turn this unstructured log line into fields: timestamp, level, message.
Get the parties, the governing law and the term out of the agreement.
Normalise the dates in the text to ISO 8601 and list them.
Collect all citations in the paper as a list of author and year.
Capture the flight number, departure and arrival times from the booking.
"""
OTHER = """
Write a friendly reply to this customer that apologises and offers a solution.
Write a blog post of 800 words about the following topic.
Summarise the meeting below for someone who was not there.
Explain step by step how this works and why.
Refactor the following function and add tests.
Fix the bug in this code and explain what was wrong.
Draft a proposal for the project described below.
Translate this text into natural French and keep its tone.
Solve the following problem. Show your reasoning.
Prove that the statement holds for all positive integers.
Create a marketing plan for the launch of this product.
Write a Python script that reads a file and plots the result.
Compare the two approaches and recommend one, with trade-offs.
Continue the story in the same style.
How many apples does she have left? Think carefully.
Design a database schema for the application described here.
Give me ideas for a birthday party for a six year old.
You are a helpful assistant. Help the user with whatever they ask.
Review this pull request and point out problems.
Rewrite the paragraph so that it is clearer and shorter.
Plan a three day trip to the city, with costs.
Act as a tutor and guide the student to the answer.
Write unit tests for the class below.
Compose an email to the team about the change.
What would happen if the interest rate doubled? Analyse the effects.
Implement the algorithm described in the paper.
Debate both sides of the question.
Generate five taglines for the brand.
Outline a chapter about the history of the subject.
Answer the question using the documents and cite your sources.
Can you help me understand my bill?
Tell me about the causes of the war.
What should I do about my landlord?
Make the text more persuasive.
Optimise this SQL query for a large table and justify each change.
Write a function that returns the longest palindrome.
"""
TEXTS = """
The parcel came two days late and the box was torn, but the lamp itself works and looks lovely.
Invoice INV-20931 from Harbour Supplies, 14 March 2026, total 1,284.50 EUR, due within 30 days.
Hi, I was charged twice for my subscription this month, can you please look into this?
def total(rows): return sum(r.price * r.count for r in rows if r.count > 0)
Ms Okafor met the board of Lindqvist AB in Oslo on 3 May to discuss the merger.
Patient reports mild headaches since Tuesday; ibuprofen 400 mg twice a day; follow up in two weeks.
A train leaves at 9:40 with a speed of 80 km/h and another one an hour later with 120 km/h.
The agreement between the parties takes effect on 1 January and is governed by the laws of Ireland.
Congratulations!!! You have been selected, click here to claim your prize now.
In the beginning the village had only one well, and everybody knew whose turn it was.
2026-04-01T10:22:31Z ERROR payment-service timeout after 3000 ms order=88123
Senior data engineer, remote in the EU, 70,000 to 85,000 EUR, Spark and dbt required.
The committee argued for hours about the budget and left without a decision.
Please cancel my order 55-1029 and send the money back to my card.
SELECT c.name, SUM(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY 1
"""
JOINTS = ("\n\n", "\nText: ", "\n---\n", "\n\nInput:\n", " ")
PER_INSTRUCTION = 24
PENALTY, RATE, STEPS = 3e-4, 3.0, 300
PARTINGS = 6


def _lines(text: str) -> list[str]:
    return [line for line in text.strip().splitlines() if line]


def made(dice: random.Random) -> list[tuple[str, int, str]]:
    """Prompts with their kind (an index in KINDS) and the instruction each was made from."""
    found = []
    texts = _lines(TEXTS)
    for kind, instructions in enumerate((CLASSIFY, EXTRACT, OTHER)):
        for instruction in _lines(instructions):
            for _ in range(PER_INSTRUCTION):
                body = " ".join(dice.sample(texts, dice.choice((0, 1, 1, 1, 2))))
                joint = dice.choice(JOINTS)
                parts = (instruction, body) if dice.random() < 0.75 else (body, instruction)
                found.append((joint.join(part for part in parts if part), kind, instruction))
    return found


def fit(prompts: list[tuple[str, int, str]]) -> tuple[dict[str, int], np.ndarray]:
    """The features that occur for several instructions, and a weight a feature and kind."""
    seen: dict[str, set[str]] = {}
    for text, _, instruction in prompts:
        for feature in features_of(text):
            seen.setdefault(feature, set()).add(instruction)
    kept = sorted(feature for feature, where in seen.items() if len(where) >= 2)
    place = {feature: index for index, feature in enumerate(kept)}
    table = np.zeros((len(prompts), len(kept) + 1))
    for row, (text, _, _) in enumerate(prompts):
        own = [place[feature] for feature in features_of(text) if feature in place]
        table[row, own] = 1 / max(1.0, len(own)) ** 0.5
        table[row, -1] = 1
    wanted = np.eye(len(KINDS))[[kind for _, kind, _ in prompts]]
    weights = np.zeros((len(kept) + 1, len(KINDS)))
    for _ in range(STEPS):
        chances = _softmax(table @ weights)
        weights -= RATE * (table.T @ (chances - wanted) / len(prompts) + PENALTY * weights)
    return place, weights


def _softmax(scores: np.ndarray) -> np.ndarray:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def measure(prompts: list[tuple[str, int, str]], dice: random.Random) -> dict[str, float]:
    """Accuracy on instructions that were held out; and how often a small model would be wrong."""
    right = total = trusted = harmful = 0
    instructions = sorted({instruction for _, _, instruction in prompts})
    for _ in range(PARTINGS):
        held = set(dice.sample(instructions, len(instructions) // 3))
        place, weights = fit([one for one in prompts if one[2] not in held])
        for text, kind, instruction in prompts:
            if instruction not in held:
                continue
            own = [place[feature] for feature in features_of(text) if feature in place]
            scores = weights[-1] + weights[own].sum(axis=0) / max(1.0, len(own)) ** 0.5
            chances = _softmax(scores[None, :])[0]
            best = int(chances.argmax())
            total += 1
            right += best == kind
            if best != len(KINDS) - 1 and chances[best] >= TRUSTED:
                trusted += 1
                harmful += kind == len(KINDS) - 1
    return {
        "accuracy": round(right / total, 3),
        "trusted_share": round(trusted / total, 3),
        "wrong_of_trusted": round(harmful / max(1, trusted), 3),
    }


def main() -> int:
    """Train and write, or compare."""
    prompts = made(random.Random(1))
    place, weights = fit(prompts)
    rows = {name: [round(float(w), 2) for w in weights[at]] for name, at in place.items()}
    rows = {name: row for name, row in rows.items() if max(map(abs, row)) >= 0.1}
    measured = measure(prompts, random.Random(2))
    document = {
        "bias": [round(float(w), 2) for w in weights[-1]],
        "measured": measured,
        "weights": rows,
    }
    text = json.dumps(document, indent=0, sort_keys=True) + "\n"
    if "--check" in sys.argv:
        return 0 if OUT.read_text() == text else 1
    OUT.write_text(text)
    print(f"{len(rows)} features; on wordings held out: {measured}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
