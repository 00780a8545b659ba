# What keeps one configuration fit for several hosts: variables, for_each, features, and moved and removed for what was
# called otherwise before. Try: opdbus plan --var 'sites={shop="shop.example"}' --var-file lab.vars.hcl

opdbus {
  required_version = ">= 0.1"
  features         = var.features
  on_failure       = "rollback"
  snapshots {
    keep      = 20
    keep_days = 30
  }
}

stage "site" {
  for_each    = var.sites
  description = "the files of ${each.value}"
  component   = "site"
  version     = var.release
  source      = "site"

  file "index.html" {
    target = "/srv/www/${each.value}/index.html"
    type   = "symlink"
  }

  file "site.conf" {
    target = "/etc/sites/${each.key}.conf"
    type   = "copy"
    mode   = "0644"
    content = templatefile("site.conf.tmpl", {
      domain = each.value
      peers  = [for name, domain in var.sites : domain if name != each.key]
    })
  }

  lifecycle {
    prevent_destroy = var.protected
  }
}

# After all sites, since it refers to them; its content carries a secret, which no plan shows.
stage "monitor" {
  component    = "monitor"
  version      = var.release
  dependencies = [stage.site]

  file "monitor.json" {
    target = "/etc/monitor.json"
    type   = "copy"
    mode   = "0600"
    content = jsonencode({
      token = var.token
      paths = [for site in stage.site : site.path]
    })
  }
}

# Left out, and listed as skipped, where the feature is off.
stage "sftp" {
  component        = "sftp"
  version          = var.release
  source           = "sftp"
  requires_feature = "sftp"

  file "etc/sftp.conf" {
    target      = "/etc/ssh/sshd_config.d/sftp.conf"
    type        = "copy"
    on_conflict = "backup"
  }
}

# The blog had a stage of its own before there were several sites: what was made for it is kept, under its new address.
moved {
  from = stage.blog
  to   = stage.site["blog"]
}

# The old statistics are no longer looked after, and their files are left where they are.
removed {
  from = stage.statistics
  lifecycle {
    destroy = false
  }
}
