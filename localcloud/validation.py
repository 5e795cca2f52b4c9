"""Refuses requests that break the API's own model, as AWS does before it reads any resource.

The model knows required members, types, enumerations, bounds, lengths and patterns; EC2's documentation in it knows the
names of filters and some ranges besides. Each service reports what it finds in its own way: `STYLES`.

Sources: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html,
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and the Common Errors of each other service.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import unescape
from itertools import islice
from typing import Any

from localcloud.call import Call, MalformedError
from localcloud.problems import UNPRINTABLE, Problem
from localcloud.requestlog import CHUNKED

FILTER_VALUES = 200
"""How many values all filters of an EC2 request may have: https://docs.aws.amazon.com/AWSEC2/latest/APIReference/."""
FILTER_VALUE_LENGTH = 255
UNDOCUMENTED_FILTERS = {"is-default": {"isDefault"}, "tag-key": {"tag-value"}}
"""Filters that EC2 takes, by the one beside which its documentation once had them: clients still send them."""
UNSIGNED = {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}
_MANY = 10
"""How many violations one error names."""
_NUMBERS = {"integer": int, "long": int, "float": (int, float), "double": (int, float)}
_TYPES: Mapping[str, Any] = {
    "structure": Mapping,
    "map": Mapping,
    "list": list,
    "string": str,
    "boolean": bool,
    "timestamp": datetime,
    "blob": bytes,
    **_NUMBERS,
}


@dataclass(frozen=True)
class Violation:
    """What is wrong with one member of a request.

    Args:
        path: The members' names, and the numbers of lists' items, from 1.
        value: What was sent; None where a required member is missing.
        must: What the member must do, in AWS's words; "" where the value is not of the member's type.
        shape: The member's shape in the model; None where it is missing.
    """

    path: tuple[str | int, ...]
    value: Any
    must: str
    shape: Any = None

    @property
    def name(self) -> str:
        """The path as most services write it, such as `tags.1.member.key`."""
        parts: list[str] = []
        for part in self.path:
            parts += [part[0].lower() + part[1:]] if isinstance(part, str) else [str(part), "member"]
        return ".".join(parts)


def violations(shape: Any, value: Any, path: tuple[str | int, ...] = ()) -> Iterator[Violation]:
    """Yield what of a value breaks its shape of the model."""
    kind = shape.type_name
    if isinstance(value, bool) is not (kind == "boolean") or not isinstance(value, _TYPES[kind]):
        yield Violation(path, value, "", shape)
        return
    for each, item, name in _members(shape, value):
        if item is not None:
            yield from violations(each, item, (*path, name))
        elif name in shape.required_members and each.serialization.get("location") != "uri":  # found by the router
            yield Violation((*path, name), None, "not be null")
    if shape.metadata and kind not in {"structure", "boolean", "timestamp"}:
        yield from (Violation(path, value, must, shape) for must in _broken(shape, value))


def _members(shape: Any, value: Any) -> Iterator[tuple[Any, Any, str | int]]:
    """Yield what a value consists of: each part's shape, the part, and its name or number."""
    if shape.type_name == "structure" and not shape.is_document_type:
        yield from ((member, value.get(name), name) for name, member in shape.members.items())
    elif shape.type_name == "list":
        yield from ((shape.member, item, number) for number, item in enumerate(value, 1))
    elif shape.type_name == "map":
        for key, item in value.items():
            yield shape.key, key, key
            yield shape.value, item, key


def _broken(shape: Any, value: Any) -> Iterator[str]:
    """Yield the constraints of a shape that a value of the right type breaks."""
    kind, pattern = shape.type_name, shape.metadata.get("pattern")
    if kind == "string" and shape.enum and value not in shape.enum:
        yield f"satisfy enum value set: [{', '.join(shape.enum)}]"
    if kind == "string" and pattern and (compiled := _pattern(pattern)) and not compiled.fullmatch(value):
        yield f"satisfy regular expression pattern: {pattern}"
    measured, size = ("value", value) if kind in _NUMBERS else ("length", len(value))
    smallest, largest = _range(shape)
    if smallest is not None and size < smallest:
        yield f"have {measured} greater than or equal to {smallest}"
    if largest is not None and size > largest:
        yield f"have {measured} less than or equal to {largest}"


def _range(shape: Any) -> tuple[float | None, float | None]:
    return shape.metadata.get("min"), shape.metadata.get("max")


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str] | None:
    """Return a pattern of the model, which is Java's, for Python; None where Python cannot express it."""
    for java, python in ((r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff"), (r"\p{L}", r"\w"), (r"\p{N}", r"\d")):
        pattern = pattern.replace(java, python)
    pattern = pattern.replace(r"\p{Z}", r"\s")
    try:
        return re.compile(pattern)
    except re.error:
        return None


def check(call: Call) -> Problem | None:
    """Return why a request cannot be one that AWS would look into."""
    problem = _check_action(call)
    if problem or call.operation is None:
        return problem
    try:
        parameters = call.params
    except MalformedError:
        return malformed(call.protocol)
    style = STYLES.get(call.service)
    if style is None or call.operation.input_shape is None or call.protocol == "cbor":
        return None
    found = list(islice(violations(call.operation.input_shape, parameters), _MANY))
    if found and (problem := style(call, found)):
        return problem
    if call.protocol in {"ec2", "query"} and (strange := UNPRINTABLE.search("".join(call.form.values()))):
        code = "InvalidCharacter" if call.service == "ec2" else "ValidationError"
        return Problem(code, 400, f"The request contains the invalid character {strange[0]!r}")
    return _check_ec2(call) if call.service == "ec2" else None


def _check_action(call: Call) -> Problem | None:
    """Check that a request is signed, and for an action that its service has."""
    if not call.service:
        if call.protocol == "rest-xml" or call.action in UNSIGNED:
            return None
        code, status = ("MissingAuthenticationToken", 403)
        if call.protocol == "json":
            code, status = f"{code}Exception", 400
        return Problem(code, status, "Request is missing Authentication Token")
    if call.model is None:
        return absent(call, f"The embedded cloud has no service {call.service!r}.")
    if call.service == "s3" and CHUNKED in call.environ and "HTTP_X_AMZ_DECODED_CONTENT_LENGTH" not in call.environ:
        return Problem("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
    if call.operation is None:
        return _unknown_action(call)
    return _unknown_action(call) if call.protocol == "query" and call.version != call.model.api_version else None


def _unknown_action(call: Call) -> Problem:
    """Return the service's own error for an action that AWS does not have."""
    if call.protocol in {"ec2", "query"} and "Action" not in call.form:
        return Problem("MissingAction", 400, "The request is missing an action")
    if call.protocol == "query":
        version = call.version or "NO_VERSION_SPECIFIED"
        return absent(call, f"Could not find operation {call.action} for version {version}")
    return absent(call, f"The action {call.action} is not valid for this web service.")


def absent(call: Call, message: str) -> Problem:
    """Return the error for an action that there is not."""
    if call.protocol in {"json", "cbor", "rest-json"}:
        return Problem("UnknownOperationException", 400, message)
    if call.protocol == "rest-xml":
        return Problem("MethodNotAllowed", 405, message)
    return Problem("InvalidAction", 400, message)


def malformed(protocol: str) -> Problem:
    """Return the error for a body that is not written in the request's protocol."""
    if protocol == "rest-xml":
        text = "The XML you provided was not well-formed or did not validate against our published schema"
        return Problem("MalformedXML", 400, text)
    if protocol in {"ec2", "query"}:
        return Problem("MalformedQueryString", 400, "The query string is malformed")
    return Problem("SerializationException", 400, "The request's body is malformed")


def invalid(service: str, protocol: str, message: str) -> Problem:
    """Return the error by which a service refuses a parameter."""
    codes = {"ec2": "InvalidParameterValue", "s3": "InvalidArgument"}
    ending = "Error" if protocol == "query" else "Exception"
    return Problem(codes.get(service) or f"Validation{ending}", 400, message)


def sentences(found: Iterable[Violation]) -> str:
    """Return AWS's collective message for values that break constraints of the model."""
    texts = [
        f"Value {_shown(each.value)} at '{each.name}' failed to satisfy constraint: Member must {each.must}"
        for each in found
    ]
    noun = "error" if len(texts) == 1 else "errors"
    return f"{len(texts)} validation {noun} detected: {'; '.join(texts)}"


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return f"'[{', '.join(str(each) for each in value)}]'" if isinstance(value, list) else f"'{value}'"


def refuse(call: Call, found: Sequence[Violation]) -> Problem:
    """Refuse as most services do."""
    mistyped = next((each for each in found if not each.must), None)
    if mistyped and call.protocol == "query":
        return Problem("MalformedInput", 400, f"{mistyped.value} is not a valid {mistyped.shape.type_name}")
    if mistyped:
        return Problem("SerializationException", 400, f"{mistyped.name} is not of type {mistyped.shape.type_name}")
    return Problem(f"Validation{'Exception' if call.service in {'acm', 'ssm'} else 'Error'}", 400, sentences(found))


def _cloudwatch(call: Call, found: Sequence[Violation]) -> Problem:
    missing = [each for each in found if each.value is None]
    if not missing:
        return refuse(call, found)
    paths = (".".join(f"member.{part}" if isinstance(part, int) else part for part in each.path) for each in missing)
    return Problem("MissingParameter", 400, "\n".join(f"The parameter {path} is required." for path in paths))


def _ec2(_: Call, found: Sequence[Violation]) -> Problem | None:
    # Each kind of text and list has errors of its own for its length, which are the actions'.
    first = next((each for each in found if "length" not in each.must and "pattern" not in each.must), None)
    if first is None:
        return None
    if first.value is None:
        return Problem("MissingParameter", 400, f"The request must contain the parameter {first.path[-1]}")
    number = _range(first.shape) if first.shape.type_name == "integer" and first.must else (None, None)
    name = [part for part in first.path if isinstance(part, str)][-1]
    return _out_of_range(name, first.value, *number) if None not in number else _invalid_value(name, first)


EC2_TEXTS = {
    "InstanceType": "Invalid value '{}' for InstanceType.",
    "ResourceType": "'{}' is not a valid taggable resource type for this operation.",
}


def _invalid_value(name: str, violation: Violation) -> Problem:
    if violation.must and violation.shape.name in EC2_TEXTS:
        return Problem("InvalidParameterValue", 400, EC2_TEXTS[violation.shape.name].format(violation.value))
    message = f"Value ({violation.value}) for parameter {name[0].lower()}{name[1:]} is invalid."
    expected = f" Member must {violation.must}." if violation.must else f" It is no {violation.shape.type_name}."
    return Problem("InvalidParameterValue", 400, message + expected)


def _out_of_range(name: str, value: object, smallest: float | None, largest: float | None) -> Problem:
    message = f"Value ( {value} ) for parameter {name[0].lower()}{name[1:]} is invalid. "
    return Problem("InvalidParameterValue", 400, f"{message}Expecting a value from {smallest} to {largest}.")


S3_CODES = {"BucketLocationConstraint": "InvalidLocationConstraint", "StorageClass": "InvalidStorageClass"}


def _s3(call: Call, found: Sequence[Violation]) -> Problem:
    first = found[0]
    if first.shape and first.shape.name in S3_CODES:
        return Problem(S3_CODES[first.shape.name], 400, f"{first.value!r} is not valid")
    shape: Any = call.operation and call.operation.input_shape
    member = shape.members.get(first.path[0])
    if member is None or "location" not in member.serialization:
        return malformed(call.protocol)
    return Problem("InvalidArgument", 400, f"{first.path[0]}: {_shown(first.value)} is not valid")


STYLES: Mapping[str, Callable[[Call, Sequence[Violation]], Problem | None]] = {
    **dict.fromkeys(("acm", "autoscaling", "elasticloadbalancing", "iam", "ssm", "sts"), refuse),
    "ec2": _ec2,
    "monitoring": _cloudwatch,
    "s3": _s3,
}
"""How each validated service, by its signing name, refuses."""


def _check_ec2(call: Call) -> Problem | None:
    """Check what EC2 documents outside the model's constraints."""
    if call.unknown:
        return Problem("UnknownParameter", 400, f"The parameter {call.unknown[0]} is not recognized")
    smallest, largest = _documented_range(call.operation)
    requested = call.params.get("MaxResults")
    if largest and requested is not None and not smallest <= requested <= largest:
        return _out_of_range("MaxResults", requested, smallest, largest)
    filters = call.params.get("Filters") or call.params.get("Filter") or []
    values = [value for each in filters for value in each.get("Values", ())]
    if len(values) > FILTER_VALUES:
        text = f"The maximum number of filter values specified on a single call is {FILTER_VALUES}"
        return Problem("FilterLimitExceeded", 400, text)
    if any(len(value) > FILTER_VALUE_LENGTH for value in values):
        text = f"The maximum length for a filter value is {FILTER_VALUE_LENGTH} characters"
        return Problem("FilterLimitExceeded", 400, text)
    names = _filters(call.operation)
    for each in filters:
        name = str(each.get("Name", "null"))
        if names and name not in names and not (name.startswith("tag:") and {"tag", "tag-key"} & names):
            return Problem("InvalidParameterValue", 400, f"The filter '{name}' is invalid")
    return None


@functools.cache
def _filters(operation: Any) -> frozenset[str]:
    """Return the names of an action's filters, from their documentation; none where it does not list them."""
    members = operation.input_shape.members
    text = "".join(members[name].documentation for name in ("Filters", "Filter") if name in members)
    found = re.findall(r"<li>\s*(?:<p>)?\s*<code>([^<]+)</code>", text)
    for also in re.findall(r"can also use(.*?)as the filter name", text):
        found += re.findall(r"<code>([^<]+)</code>", also)
    names = {unescape(name).strip().replace("tag:<key>", "tag") for name in found}
    return frozenset(names.union(*(UNDOCUMENTED_FILTERS.get(name, ()) for name in names)))


@functools.cache
def _documented_range(operation: Any) -> tuple[int, int]:
    member = operation.input_shape.members.get("MaxResults")
    found = re.search(r"between (\d+) and (\d+)", member.documentation if member else "")
    return (int(found[1]), int(found[2])) if found else (0, 0)
