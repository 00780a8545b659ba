plugin "dnsresolver" {
  resolver "global" {
    servers = ["1.1.1.1"]
    search  = ["lan.example"]
  }
}
