# Read without being named, since it is called *.auto.vars.hcl.
sites = {
  blog = "blog.example"
  wiki = "wiki.example"
}
