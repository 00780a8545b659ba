package desired

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/opdbus/opdbus/state"
)

// A site is embedded by the structs of blocks that are checked further: where the block stands, and what it held that a
// struct does not.
type site struct {
	def    hcl.Range
	attr   func(name string) state.Range
	extras extras
}

// placed is what a decoder tells a struct that embeds a site.
type placed interface {
	placed(def hcl.Range, attr func(name string) state.Range, x extras)
}

func (s *site) placed(def hcl.Range, attr func(name string) state.Range, x extras) {
	s.def, s.attr, s.extras = def, attr, x
}

// notSensitive reports secrets in arguments that are printed in plans.
func (l *loader) notSensitive(c content, x extras) {
	for _, name := range x.sensitive {
		if e := c.attr(name); e != nil {
			l.sensitiveAt(rangeOf(e.Range()), name)
		}
	}
}

func (l *loader) notSensitiveAt(s site) {
	for _, name := range s.extras.sensitive {
		l.sensitiveAt(s.attr(name), name)
	}
}

func (l *loader) sensitiveAt(at state.Range, name string) {
	l.diags.Errorf(at, "Sensitive value not allowed", "The value of %q is sensitive, and this argument is printed in plans. Use nonsensitive() on what is no secret.", name)
}

// place1 prints a place in one word: file and line.
func placeText(r state.Range) string { return fmt.Sprintf("%s:%d", r.File, r.Line) }
