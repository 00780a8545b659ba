# A host as it runs: units that restart when what they read changes, who lingers, where names are looked up, which packages are there, and a
# property of a service on the bus. Try it on a machine of its own: opdbus plan, then opdbus apply.

opdbus {
  snapshots {
    keep = 20
    # A root that packages write to, where it is a btrfs subvolume on the store's file system; see docs/subvolumes.md.
    # subvolumes = ["/"]
  }
}

stage "hello" {
  description = "what the service reads"

  file "hello.conf" {
    target  = "/etc/hello.conf"
    type    = "copy"
    content = "GREETING=hello\n"
  }
}

plugin "systemd" {
  unit "hello.service" {
    content    = file("hello.service")
    enabled    = true
    active     = true
    restart_on = [stage.hello.file["hello.conf"]]
  }
  drop_in "hello.service/10-limits.conf" {
    content = "[Service]\nMemoryMax=64M\n"
  }
  timer "hello-nightly" {
    on_calendar = "*-*-* 03:00:00"
    command     = ["/usr/bin/logger", "good night"]
    persistent  = true
  }
  unit "debug-shell.service" {
    masked = true
  }

  health "greets" {
    unit    = "hello.service"
    retries = 3
  }
}

plugin "login1" {
  linger "root" { enabled = true }
  settings "50-hello" {
    values = { IdleActionSec = "30min" }
  }
}

plugin "dnsresolver" {
  resolver "global" {
    servers = ["192.0.2.1", "192.0.2.2#dns.example"]
    search  = ["example"]
  }
}

plugin "packagekit" {
  package "htop" { ensure = "installed" }
  package "telnetd" { ensure = "removed" }
}

plugin "dbus" {
  property "pretty" {
    service   = "org.freedesktop.hostname1"
    path      = "/org/freedesktop/hostname1"
    interface = "org.freedesktop.hostname1"
    property  = "PrettyHostname"
    value     = "Says hello"
    set_with {
      method = "SetPrettyHostname"
      args   = ["$value", false]
    }
  }
}
