"""How the tests call Terraform."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

SHIM = Path(__file__).parents[2] / "setup" / "terraform-shim.py"


@dataclass(frozen=True)
class Terraform:
    """The program, with an environment in which it finds the AWS provider without a registry."""

    command: tuple[str, ...]
    environment: dict[str, str]

    def __call__(self, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program in a folder and return what it said, whatever its exit status."""
        return subprocess.run(
            [*self.command, f"-chdir={folder}", *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def must(self, folder: Path, *arguments: str) -> str:
        """Run the program and return its standard output; a failure fails the test with all it said."""
        done = self(folder, *arguments)
        assert done.returncode == 0, f"{' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout
