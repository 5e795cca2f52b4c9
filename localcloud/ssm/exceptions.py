"""Errors of Systems Manager that moto does not raise, with AWS's codes and texts."""

from functools import partial

from moto.ssm.exceptions import SSMException

from localcloud.exceptions import refusal

_error = partial(refusal, SSMException)

invalid_instance_id = _error("InvalidInstanceId", "Instances [[{}]] not in a valid state for account {}")
invalid_document = _error(
    "InvalidDocument", "document {} does not exist: the embedded cloud has AWS-RunShellScript only."
)
invalid_parameters = _error("InvalidParameters", "{}")
invalid_command_id = _error("InvalidCommandId", "")
invalid_plugin_name = _error("InvalidPluginName", "The plugin name is not valid.")
invocation_does_not_exist = _error("InvocationDoesNotExist", "")
duplicate_instance_id = _error("DuplicateInstanceId", "You can't specify a managed node ID twice.")
invalid_filter_key = _error("InvalidFilterKey", "The filter key {} is not valid.")
invalid_next_token = _error("InvalidNextToken", "The specified token is not valid.")
too_many_levels = _error(
    "HierarchyLevelLimitExceededException", "A parameter hierarchy can have a maximum of {} levels."
)
type_mismatch = _error(
    "HierarchyTypeMismatchException",
    "The type of parameter {} can't be changed from {} to {}: create a new parameter.",
)
invalid_allowed_pattern = _error(
    "InvalidAllowedPatternException", "The request does not meet the regular expression requirement: {}"
)
pattern_mismatch = _error(
    "ParameterPatternMismatchException", "Parameter value, cannot be validated against allowedPattern: {}"
)
too_many_tags = _error("TooManyTagsError", "A resource can have at most 50 tags.")
