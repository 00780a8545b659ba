package desired

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
)

// A catalogue is what may stand in the node blocks of one type and provider.
type catalogue struct {
	provider string
	self     *shape // of the block's own attributes; nil when no provider has that type of nodes
	gate     *shape
	common   *shape
	kinds    map[string]*objectKind
	words    *words
}

// An objectKind is a kind of objects in a node.
type objectKind struct {
	shape   *shape
	scratch reflect.Value // decoded into, one object after the other
}

// catalogueOf finds what may stand in a node.
func (l *loader) catalogueOf(addr state.NodeAddr) *catalogue {
	id := addr.Type + "." + state.ProviderOf(addr)
	if c := l.catalogue[id]; c != nil {
		return c
	}
	c := &catalogue{
		provider: state.ProviderOf(addr),
		gate:     l.shapes.of(reflect.TypeFor[nodeGate]()),
		common:   l.shapes.of(reflect.TypeFor[nodeCommon]()),
		kinds:    map[string]*objectKind{},
		words:    newWords(),
	}
	l.catalogue[id] = c
	c.words.allow(c.gate)
	c.words.allow(c.common)
	if addr.Type != state.StageNode {
		delete(c.words.blocks, "verify")
	}
	own := l.o.Kinds.ForNode(addr.Type)
	if own != nil {
		c.self = l.shapes.of(own.Object)
		c.words.allow(c.self)
	}
	for _, k := range l.o.Kinds.Of(c.provider) {
		// A plugin that is called like the provider of another type of nodes has none of its kinds.
		if addr.Type == state.PluginNode && (c.provider == state.StageNode || c.provider == state.CommonProvider) {
			break
		}
		shape := l.shapes.of(k.Object)
		if k == own || !shape.isLanguage() || c.words.blocks[k.Name] != nil {
			continue
		}
		c.kinds[k.Name] = &objectKind{shape, reflect.New(k.Object).Elem()}
		c.words.blocks[k.Name] = shape
	}
	c.words.seal()
	return c
}

// The arguments that all nodes have. Those of the gate say whether and how often there is a node, and are evaluated
// before the others: what a node refers to may be left out where the node is.
type nodeGate struct {
	ForEach         hcl.Expression `hcl:"for_each,optional"`
	Enabled         *bool          `hcl:"enabled,optional"`
	RequiresFeature string         `hcl:"requires_feature,optional"`
}

type nodeCommon struct {
	Dependencies hcl.Expression  `hcl:"dependencies,optional"`
	Description  string          `hcl:"description,optional"`
	Drift        string          `hcl:"drift,optional"`
	Lifecycle    *lifecycleBlock `hcl:"lifecycle,block"`
	Health       []healthBlock   `hcl:"health,block"`
	Verify       []verifyBlock   `hcl:"verify,block"` // of stages only
}
