# Packer 1.7 and later install builders as plugins (`packer init`); earlier versions have them built in and refuse
# this block, so the pipeline leaves this file out for those.
packer {
  required_version = ">= 1.7.0"

  required_plugins {
    amazon = {
      source = "github.com/hashicorp/amazon"
      # 1.3.x only: from 1.8.0 on the builder uses another AWS SDK, whose polling, retries and endpoints differ.
      version = "~> 1.3.0"
    }
  }
}
