package stage

import "github.com/opdbus/opdbus/state"

// Source is where the content is to be had.
func (p Payload) Source() state.Source {
	switch {
	case p.Type == typeFile && p.Content != nil:
		return state.Source{Digest: p.Digest, Size: p.Size, Data: *p.Content}
	case p.Type == typeFile && p.From != "":
		return state.Source{Digest: p.Digest, Size: p.Size, Path: p.From}
	}
	return state.Source{}
}

// SourcedFrom is the payload with its content at another path.
func (p Payload) SourcedFrom(path string) state.Object {
	p.From, p.Content = path, nil
	return p
}
