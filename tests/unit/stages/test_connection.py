"""The account and region of a stage."""

from rebake.operators.promote_ami import PromoteAmiOperator


def test_the_environment_says_which_account_and_region() -> None:
    made = PromoteAmiOperator(task_id="stage", ami_id="ami-1", name="/rebake/webapp", region_name="us-east-1")

    assert made.hook.aws_conn_id == "aws_default"
    assert made.hook._region_name == "eu-west-1"
