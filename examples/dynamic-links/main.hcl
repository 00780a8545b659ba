# A directory of small tools, each linked into /usr/local/bin: one dynamic block over fileset, so that a tool that is
# added to the directory needs no line here. Ten thousand are planned in a fraction of a second.
stage "tools" {
  version = "1.0.0"
  source  = "tools"

  dynamic "file" {
    for_each = fileset("tools", "bin/*")
    iterator = tool
    labels   = [tool.value]
    content {
      target = "/usr/local/${tool.value}"
      type   = "symlink"
    }
  }

  # Copies rather than links, under other names than in the component: a map says which goes where.
  dynamic "file" {
    for_each = {
      "completions/tools.bash" = "/etc/bash_completion.d/tools"
    }
    iterator = completion
    labels   = [completion.key]
    content {
      target = completion.value
      type   = "copy"
    }
  }
}

output "tools" {
  description = "the tools that are linked"
  value       = sort([for path in fileset("tools", "bin/*") : basename(path)])
}
