package desired

import (
	"reflect"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
)

// A top is a top-level block that is kept for later.
type top struct {
	kind string
	block
}

// topWords are the blocks that may stand at the top of a file.
func (l *loader) topWords() *words {
	name := []labelField{{name: "name"}}
	w := newWords()
	w.blocks = map[string]*shape{
		"opdbus":          l.shapes.of(reflect.TypeFor[settingsBlock]()),
		"variable":        l.shapes.of(reflect.TypeFor[variableBlock]()),
		"output":          l.shapes.of(reflect.TypeFor[outputBlock]()),
		"locals":          {},
		"moved":           l.shapes.of(reflect.TypeFor[movedBlock]()),
		"removed":         l.shapes.of(reflect.TypeFor[removedBlock]()),
		"import":          {},
		state.StageNode:   {labels: name},
		state.PluginNode:  {labels: name},
		state.NetworkNode: {labels: name},
	}
	for _, kind := range w.blockNames() {
		var labels []string
		for _, l := range w.blocks[kind].labels {
			labels = append(labels, l.name)
		}
		w.schema.Blocks = append(w.schema.Blocks, hcl.BlockHeaderSchema{Type: kind, LabelNames: labels})
	}
	return w
}

// collect takes up the blocks of all files, and returns those that are read last: moved and removed.
func (l *loader) collect(sources []source) []top {
	var tops []top
	w := l.topWords()
	for _, src := range sources {
		c, diags := open(src.file.Body, w)
		l.hclDiags(diags)
		s := &survey{report: l.hclDiags, refs: references{}}
		s.extra(c, w)
		for _, name := range c.attrNames() {
			s.attr(name, c.attr(name), c.nameRange(name), w)
		}
		for i := range c.blockCount() {
			b := c.block(i)
			shape := w.blocks[b.kind]
			if shape == nil {
				s.unknownBlock(b.typeRange(), b.kind, w)
				continue
			}
			if len(b.labels) != len(shape.labels) {
				s.labels(&b, shape)
				continue
			}
			if l.take(&b, shape) {
				tops = append(tops, top{b.kind, b})
			}
		}
	}
	return tops
}

// take takes up one block; keep says that it is read last.
func (l *loader) take(b *block, s *shape) (keep bool) {
	switch b.kind {
	case "opdbus":
		l.takeSettings(b, s)
	case "variable":
		l.takeVariable(b, s)
	case "locals":
		l.takeLocals(b)
	case "output":
		l.takeOutput(b, s)
	case "import":
		l.errorf(b.def(), "Unsupported block type", "This version of opdbus does not support import blocks. Objects that already stand on the host are taken over where their on_conflict is \"adopt\".")
	case "moved", "removed":
		return true
	default:
		l.takeNode(b)
	}
	return false
}

// duplicate reports a second declaration of the same thing.
func (l *loader) duplicate(what, name string, at, first hcl.Range) {
	l.errorf(at, "Duplicate "+what, "The %s %q is already declared at %s. Each may be declared once.", what, name, l.at(first))
}

// at prints a place for the inside of a message.
func (l *loader) at(r hcl.Range) string { return placeText(rangeOf(r)) }
