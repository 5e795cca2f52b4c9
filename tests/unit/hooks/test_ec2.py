import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from rebake.hooks.ec2 import Ec2ClientHook
from tests.support.aws import CONNECTION


def test_a_security_group_that_stays_in_use_is_an_error(pauses: list[float]) -> None:
    hook = Ec2ClientHook(**CONNECTION)
    with Stubber(hook.conn) as stub:
        for _ in range(20):
            stub.add_client_error("delete_security_group", "DependencyViolation", "in use")
        with pytest.raises(ClientError, match="DependencyViolation"):
            hook.delete_security_group("sg-1", poll_seconds=60)

    assert pauses == [5] * 19
