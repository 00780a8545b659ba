package desired

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
	"github.com/zclconf/go-cty/cty"
)

// sensitive is the mark of secret values.
const sensitive = mark("sensitive")

type mark string

func factNames() []string { return []string{"arch", "features", "kernel", "name", "os"} }

// scope is the context in which expressions with these references are evaluated. It holds what they speak of and no more,
// so that making it costs nothing that grows with the configuration.
func (l *loader) scope(refs []*reference) *hcl.EvalContext {
	for _, r := range refs {
		if r.isNode() {
			l.checkNode(r)
		}
	}
	return l.unchecked(refs)
}

// unchecked is the scope of what is left out, which may refer to what is left out as well.
func (l *loader) unchecked(refs []*reference) *hcl.EvalContext {
	roots := map[string]map[string]cty.Value{"path": {"module": cty.StringVal(".")}}
	whole := map[string]cty.Value{}
	for _, r := range refs {
		if r.name == "" && r.root != "host" && r.root != "each" && r.root != "path" {
			whole[r.root] = failedValue()
			continue
		}
		if r.root == "each" { // a node's instances have their own
			if r.bad {
				whole["each"] = failedValue()
			}
			continue
		}
		in := roots[r.root]
		if in == nil {
			in = map[string]cty.Value{}
			roots[r.root] = in
		}
		if old, ok := in[r.name]; r.bad || ok && isFailed(old) {
			in[r.name] = failedValue()
			continue
		}
		switch r.root {
		case "var":
			in[r.name] = l.variables[r.name].value
		case "local":
			in[r.name] = l.locals[r.name].value
		case "host":
			l.fact(r.name, in)
		case state.StageNode, state.PluginNode, state.NetworkNode:
			in[r.name] = l.nodes[r.root+"."+r.name].value(l)
		}
	}
	vars := map[string]cty.Value{}
	for root, in := range roots {
		if len(in) > 0 {
			vars[root] = cty.ObjectVal(in)
		}
	}
	for root, v := range whole {
		vars[root] = v
	}
	return &hcl.EvalContext{Variables: vars, Functions: l.functions}
}

// isFailed says whether a value stands for what could not be evaluated.
func isFailed(v cty.Value) bool { return !v.IsKnown() && v.Type() == cty.DynamicPseudoType }

// fact adds a fact, or all when the name is empty, and notes it for the digest.
func (l *loader) fact(name string, in map[string]cty.Value) {
	for _, f := range factNames() {
		if name != "" && f != name {
			continue
		}
		in[f] = l.factValue(f)
		l.digest.value("fact", f, []byte(in[f].GoString()))
	}
}

func (l *loader) factValue(name string) cty.Value {
	f := l.o.Facts
	switch name {
	case "name":
		return cty.StringVal(f.Name)
	case "arch":
		return cty.StringVal(f.Arch)
	case "kernel":
		return cty.StringVal(f.Kernel)
	case "os":
		return cty.StringVal(f.OS)
	}
	return stringList(f.Features)
}

func stringList(list []string) cty.Value {
	if len(list) == 0 {
		return cty.ListValEmpty(cty.String)
	}
	values := make([]cty.Value, len(list))
	for i, s := range list {
		values[i] = cty.StringVal(s)
	}
	return cty.ListVal(values)
}
