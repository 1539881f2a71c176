"""What a right answer has. Pure: no model, no network."""

import json
import re


def fails(expect, answer, stop_reason=None, seconds=None):
    """Return why an answer fails an expectation, None when it does not, and NotImplemented where only a model can judge."""
    kind, value = expect["kind"], expect.get("value", "")
    if kind == "json":
        try:
            parsed = json.loads(answer)
        except ValueError:
            return "it is no JSON"
        schema = expect.get("schema")
        if schema:
            from jsonschema import Draft202012Validator

            for error in Draft202012Validator(schema).iter_errors(parsed):
                return error.message
        return None
    if kind == "matches":
        return None if re.search(value, answer) else "it does not match"
    if kind == "not_matches":
        return "it matches" if re.search(value, answer) else None
    if kind == "contains":
        return None if value.lower() in answer.lower() else "it does not contain it"
    if kind == "not_contains":
        return "it contains it" if value.lower() in answer.lower() else None
    if kind == "finish":
        return f"it ended with {stop_reason}" if stop_reason in ("max_tokens", "model_length", "length") else None
    if kind == "latency":
        if seconds is None:
            return None
        return f"it took {seconds:.3g} s" if seconds > expect["limit"] else None
    if kind == "cost":
        return None
    return NotImplemented
