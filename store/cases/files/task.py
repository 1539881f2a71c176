"""Regression cases of an incident, for Inspect: inspect eval inspect/task.py --model MODEL

The messages are those that were captured, the system message included. To test the prompt that is
live, replace the first message of each sample, or put a solver of yours in front of generate().
"""

from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import json_dataset
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Target, accuracy, model_graded_qa, scorer
from inspect_ai.solver import generate

from expectations import fails


@scorer(metrics=[accuracy()])
def expectations():
    graded = model_graded_qa()

    async def score(state, target):
        answer = state.output.completion
        reason = state.output.choices[0].stop_reason if state.output.choices else None
        for expect in state.metadata["expect"]:
            why = fails(expect, answer, reason, state.output.time)
            if why is NotImplemented:
                verdict = await graded(state, Target(expect["value"]))
                if verdict is None or verdict.value != CORRECT:
                    return Score(value=INCORRECT, answer=answer, explanation=verdict and verdict.explanation)
            elif why is not None:
                return Score(value=INCORRECT, answer=answer, explanation=f"{expect['kind']}: {why}")
        return Score(value=CORRECT, answer=answer)

    return score


@task
def regression():
    return Task(
        dataset=json_dataset(str(Path(__file__).parent / "dataset.jsonl")),
        solver=generate(),
        scorer=expectations(),
    )
