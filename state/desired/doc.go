// Package desired reads a configuration, the directory of HCL that says what a host should be, and evaluates it to nodes
// and the objects in them. All of the user's mistakes are diagnostics. Only it, and what is below it, know HCL and cty; it
// imports the vocabulary in state, graph, and its own schema and statejson besides, and touches nothing of the host but the files it is
// allowed to read.
package desired
